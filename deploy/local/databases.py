"""Roles and databases of the local PostgreSQL, made by its own psql."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

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
\\set database {database}
\\set owner {owner}
select format('create database %I owner %I', :'database', :'owner')
 where not exists (select from pg_database where datname = :'database') \\gexec
revoke all on database :"database" from public;
"""


def make(psql: Path, admin_url: str, passwords: Mapping[str, str], databases: Mapping[str, str]) -> None:
    """Makes login roles (name to password) and databases (name to owner) that are missing, and resets
    passwords and limits. Idempotent. Raises StackError with the server's words.
    """
    for name in (*passwords, *databases, *databases.values()):
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
            raise ValueError(f"{name!r} is no plain name for a role or database")
    script = [ROLE.format(role=role, number=number) for number, role in enumerate(passwords)]
    script += [DATABASE.format(database=name, owner=owner) for name, owner in databases.items()]
    hidden = {f"HALFDAY_ROLE_{number}": password for number, password in enumerate(passwords.values())}
    password = re.sub(r".*//[^:]*:([^@]*)@.*", r"\1", admin_url)
    done = process.run(
        [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", admin_url.replace(f":{password}@", "@")],
        env={**os.environ, **hidden, "PGPASSWORD": password, "PGOPTIONS": "-c client_min_messages=error"},
        stdin="".join(script),
    )
    if done.returncode != 0:
        raise StackError(f"PostgreSQL refused its roles and databases: {done.stdout.strip()}")
