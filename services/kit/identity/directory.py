"""Principals and signing keys in the memory of a process, kept current from its service's tables."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import asyncpg
import orjson
import structlog

from contracts.values import Bounds
from services.kit.database import Reader, connect
from services.kit.identity.table import CHANNEL, IdentityTable
from services.kit.settings import Settings

POLL_S = 1.0
"""Seconds after which the tables are read without a notification."""
_log = structlog.get_logger("halfday.identity")


class Point(NamedTuple):
    """A public P-256 key: its coordinates, base64url (RFC 7518, 6.2.1)."""

    x: str
    y: str


@dataclass(frozen=True, slots=True)
class KnownPrincipal:
    """A principal as access published it last. `keys` are the thumbprints of the keys that it may use now, `ended` of
    those that may only hand in their records.
    """

    version: int
    active: bool
    kind: str
    tenant: str
    scopes: frozenset[str]
    bounds: Bounds
    keys: frozenset[str]
    ended: frozenset[str] = frozenset()


class Directory:
    """The principals and signing keys that the process knows; empty until `refresh` has run. Reading is without I/O."""

    def __init__(self) -> None:
        self.principals: dict[str, KnownPrincipal] = {}
        self.signing_keys: dict[str, Point] = {}
        self._principals_read = self._keys_read = 0

    async def refresh(self, conn: Reader) -> None:
        """Take over what changed in the tables since the last call.

        Each table has its own last change: a commit between the two reads may show a later change in the second one,
        and must not hide an earlier one of the first.
        """
        table = IdentityTable(conn)
        principals = await table.principals_since(self._principals_read)
        keys = await table.keys_since(self._keys_read)
        for row in principals:
            self.principals[row["subject"]] = _known(row)
        for row in keys:
            if row["usable"]:
                self.signing_keys[row["kid"]] = Point(row["x"], row["y"])
            else:
                self.signing_keys.pop(row["kid"], None)
        self._principals_read = max([self._principals_read, *(row["changed"] for row in principals)])
        self._keys_read = max([self._keys_read, *(row["changed"] for row in keys)])

    async def follow(self, settings: Settings) -> None:
        """Stay current until cancelled: by NOTIFY, and every second without one. Waits for a database that is away."""
        while True:
            try:
                await self._listen(settings)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _log.warning("principals can't be read", reason=type(error).__name__)
                await asyncio.sleep(POLL_S)

    async def _listen(self, settings: Settings) -> None:
        conn, woken = await connect(settings), asyncio.Event()
        try:
            await conn.add_listener(CHANNEL, lambda *_: woken.set())
            while True:
                woken.clear()
                await self.refresh(conn)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), POLL_S)
        finally:
            conn.terminate()


def _known(row: Mapping[str, Any]) -> KnownPrincipal:
    keys: set[str] = set()
    ended: set[str] = set()
    for key in orjson.loads(row["keys"]):
        (ended if key["revoked_at"] or key.get("retired_at") else keys).add(key["thumbprint"])
    bounds = Bounds.of(orjson.loads(row["bounds"]))
    scopes = frozenset(row["scopes"])
    return KnownPrincipal(
        row["version"], row["active"], row["kind"], row["tenant"], scopes, bounds, frozenset(keys), frozenset(ended)
    )
