"""Roles and databases of the local PostgreSQL, created by its own psql."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local.errors import StackError
from deploy.local.processes import child

SCRIPT = Path(__file__).with_name("role.sql")


def make(psql: Path, admin_url: str, passwords: Mapping[str, str]) -> None:
    """Create each login role (name to password) and the database of its name if missing, and set its password and
    limits. Idempotent. Raises StackError with the server's error.
    """
    admin = urlsplit(admin_url)
    where = admin_url.replace(f":{admin.password}@", "@")  # a password must not be in a process list
    known = {"PGPASSWORD": admin.password or "", "PGOPTIONS": "-c client_min_messages=error"}
    for role, password in passwords.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", role):
            raise ValueError(f"{role!r} is not a plain role name")
        done = child.run(
            [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", f"role={role}", "-f", SCRIPT, where],
            env={**os.environ, **known, "HALFDAY_ROLE_PASSWORD": password},
        )
        if done.returncode != 0:
            raise StackError(f"PostgreSQL refused role and database {role}: {done.stdout.strip()}")
