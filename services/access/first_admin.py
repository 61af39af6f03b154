"""`python -m services.access invite-admin`: the first member of staff where no local token is accepted.

Whoever may run it has the database and the secrets of access anyway.
"""

from __future__ import annotations

import asyncio
import sys

from contracts.scopes import Scope
from contracts.values import LOCAL_KIND, MAIN_TENANT, Bounds, Principal
from services.access.api import qr
from services.access.app import SERVICE
from services.access.commands import principals
from services.access.commands.access import open_access
from services.access.domain.account import Grant
from services.kit.errors import UnusableSettings
from services.kit.process.service import boot
from services.kit.settings import Settings

COMMAND = "invite-admin"
CONSOLE = Principal(f"{LOCAL_KIND}.console", LOCAL_KIND, frozenset(Scope))
"""The actor that access records for such an invitation."""
ADMIN = Grant(kind="staff", role="admin", tenant=MAIN_TENANT, bounds=Bounds())


def main() -> int:
    """Print the link of an invitation of an admin without bounds, valid once within three days; return the exit code.

    Waits for PostgreSQL, and needs neither Kafka nor a running process of access.
    """
    try:
        settings = Settings.load()
        SERVICE.check_settings()
    except UnusableSettings as wrong:
        print(f"{SERVICE.name} can't invite:\n{wrong}", file=sys.stderr)
        return 2
    print(asyncio.run(_link(settings)))
    return 0


async def _link(settings: Settings) -> str:
    context = await boot(SERVICE, settings)
    try:
        access = open_access(context)
        secret, _ = await principals.invite(access, CONSOLE, ADMIN)
        return qr.link(access.door, "join", secret)
    finally:
        await context.pool.close()
