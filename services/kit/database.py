"""PostgreSQL without an ORM: the pool, migrations, locks in one order, and which errors are worth a retry.

Pooled connections keep no session state (no SET, LISTEN or advisory session lock): the pool doesn't reset it,
which saves a round trip a transaction. Code that needs such state opens a connection of its own with `connect`.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from services.kit.compat import speed_up_arrays
from services.kit.errors import MigrationFailed
from services.kit.settings import Settings

speed_up_arrays()

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Reader: TypeAlias = "Connection | Pool"
"""A connection or pool for a single statement that only reads."""

KIT_MIGRATIONS = Path(__file__).parent / "migrations"
CONNECT_SECONDS, COMMAND_SECONDS = 10, 15
_SESSION = {
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
    # Services look rows up by key. A plan that was made while a table was empty, by a foreign key's check too, stays in
    # the session and would read the whole table for each row when it is full.
    "enable_seqscan": "off",
}
_NAME = re.compile(r"[a-z_][a-z0-9_.]*")

# SQLSTATE classes and codes that mean "not now" instead of "never": https://www.postgresql.org/docs/18/errcodes-appendix.html
_TRANSIENT_CLASSES = {
    "08",  # connection lost
    "40",  # rolled back: serialization, deadlock
    "53",  # out of disk, memory, connections
    "57",  # shutting down, starting up, cancelled by statement_timeout
    "58",  # the server's own I/O
}
_TRANSIENT_CODES = {
    "55P03",  # lock_timeout
    "25P03",  # idle_in_transaction_session_timeout
    "25006",  # read only: a standby that is about to be promoted
}


async def connect_pool(settings: Settings, *, max_size: int = 10) -> Pool:
    """Return a pool of connections; an error of the first is raised at once. jsonb is text in both directions."""
    return await asyncpg.create_pool(
        settings.database_url, min_size=1, max_size=max_size, reset=_keep, **_connection_settings(settings)
    )


async def connect(settings: Settings) -> Connection:
    """Return a connection outside the pool, for session locks and LISTEN, with the usual limits for statements."""
    return await asyncpg.connect(settings.database_url, **_connection_settings(settings))


def _connection_settings(settings: Settings) -> dict[str, Any]:
    name = {"application_name": settings.instance or "halfday"}
    return {"timeout": CONNECT_SECONDS, "command_timeout": COMMAND_SECONDS, "server_settings": _SESSION | name}


async def _keep(_connection: Any) -> None:
    # asyncpg has rolled back an open transaction before this; RESET ALL and the like are left out.
    return None


def is_transient(error: BaseException) -> bool:
    """Return true if the same work may succeed later with nothing changed: it is retried, and never dead-lettered."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        # 57P04: the database was dropped. The transaction's retry fixes a changed cached plan.
        return (state[:2] in _TRANSIENT_CLASSES and state != "57P04") or state in _TRANSIENT_CODES or _replan(error)
    if isinstance(error, asyncpg.InterfaceError):
        return "clos" in str(error)  # "connection is closed", "pool is closing"
    # asyncpg's internal error: the server closed the connection between two statements of a transaction.
    return isinstance(error, OSError | TimeoutError | asyncpg.InternalClientError)


def _replan(error: asyncpg.PostgresError) -> bool:
    return isinstance(error, asyncpg.InvalidCachedStatementError | asyncpg.OutdatedSchemaCacheError)


async def lock_rows(
    conn: Connection | Any,
    table: str,
    keys: Collection[Any],
    *,
    column: str = "id",
    type_: str = "uuid",
    strength: str = "update",
) -> list[asyncpg.Record]:
    """Lock the rows of `table` with a `column` in `keys`, in key order, and return them in that order.

    One statement. All code that locks several rows of a table calls this function, so no two transactions can deadlock.
    Rows that don't exist are left out. `table`, `column`, `type_` and `strength` are code, never data.
    """
    for name in (table, column, type_, *strength.split()):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a name")
    rows: list[asyncpg.Record] = await conn.fetch(
        f"select * from {table} where {column} = any($1::{type_}[]) order by {column} for {strength}",  # noqa: S608
        list(keys),
    )
    return rows


async def migrate(settings: Settings, dirs: Sequence[Path]) -> None:
    """Applies the migrations in `dirs` that are not applied yet, in order of their numbers.

    Safe from several processes at once: one applies, the others wait. Raises `MigrationFailed`, `FileNotFoundError`
    when the tool is missing, TimeoutError after two minutes.
    """
    tool = shutil.which("dbmate", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if tool is None:
        raise FileNotFoundError("dbmate is not installed beside this Python nor on the PATH")
    arguments = [part for folder in dirs if any(folder.glob("*.sql")) for part in ("--migrations-dir", str(folder))]
    process = await asyncio.create_subprocess_exec(
        tool, "--no-dump-schema", "--migration-lock", *arguments, "migrate",
        env={"PATH": os.environ.get("PATH", ""), "DATABASE_URL": _url_for_migrations(settings.database_url)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 120)
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise MigrationFailed(output.decode(errors="replace").strip())


def _url_for_migrations(url: str) -> str:
    # The tool's driver insists on TLS where nothing is said; asyncpg tries TLS and takes what it gets.
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    query.setdefault("sslmode", "disable" if parts.hostname in {"127.0.0.1", "localhost", "::1"} else "prefer")
    return urlunsplit(parts._replace(query=urlencode(query)))
