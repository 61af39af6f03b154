"""Roles and databases of the local PostgreSQL, made by its own psql."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local import process
from deploy.local.errors import StackError

# Limits of a role, so that no lost client holds a lock for long; a session may set its own for a migration.
LIMITS = {"statement_timeout": "30s", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "30s"}

ROLE = """
\\set role {role}
\\getenv password HALFDAY_ROLE_{number}
select format('create role %I login', :'role')
 where not exists (select from pg_roles where rolname = :'role') \\gexec
alter role :"role" nosuperuser nocreatedb nocreaterole password :'password';
""" + "".join(f"alter role :\"role\" set {name} = '{value}';\n" for name, value in LIMITS.items())

# Nobody but the owner may even connect: each service has its own database.
DATABASE = """
select format('create database %I owner %I', :'role', :'role')
 where not exists (select from pg_database where datname = :'role') \\gexec
revoke all on database :"role" from public;
"""


def make(psql: Path, admin_url: str, passwords: Mapping[str, str]) -> None:
    """For each login role (name to password) makes it and the database of its name where they are missing, and
    sets its password and limits. Idempotent. Raises StackError with the server's words.
    """
    script, hidden = "", {}
    for number, (role, password) in enumerate(passwords.items()):
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", role):
            raise ValueError(f"{role!r} is no plain name for a role")
        script += ROLE.format(role=role, number=number) + DATABASE
        hidden[f"HALFDAY_ROLE_{number}"] = password
    admin = urlsplit(admin_url)
    done = process.run(
        [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", admin_url.replace(f":{admin.password}@", "@")],
        env={**os.environ, **hidden, "PGPASSWORD": admin.password or "", "PGOPTIONS": "-c client_min_messages=error"},
        stdin=script,
    )
    if done.returncode != 0:
        raise StackError(f"PostgreSQL refused its roles and databases: {done.stdout.strip()}")
