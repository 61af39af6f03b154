"""Migrations, locks and the pool on a real PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.kit.database import KIT_MIGRATIONS, connect, lock_rows, migrate
from services.kit.errors import MigrationFailed
from services.kit.settings import Settings

pytestmark = pytest.mark.stack


@pytest.fixture
async def settings(database: Callable[[str], Awaitable[str]]) -> Settings:
    return Settings(database_url=await database("edge"), instance="edge.worker.0")


@pytest.fixture
async def pool(settings: Settings, make_pool: Callable[[Settings], Awaitable[Any]]) -> Any:
    made = await make_pool(settings)
    await made.execute("create table thing (id uuid primary key, name text, n int default 0)")
    await made.execute("insert into thing (id, name) select gen_random_uuid(), 'n' || i from generate_series(1, 50) i")
    return made


async def test_locking_many_rows_never_waits_in_a_circle(pool: Any) -> None:
    ids = [row["id"] for row in await pool.fetch("select id from thing")]

    async def count_up(chosen: list[Any]) -> None:
        for _ in range(5):
            async with pool.acquire() as conn, conn.transaction():
                rows = await lock_rows(conn, "thing", chosen)
                assert [row["id"] for row in rows] == sorted(chosen)
                await conn.execute("update thing set n = n + 1 where id = any($1::uuid[])", chosen)

    await asyncio.gather(*(count_up(ids if n % 2 else ids[::-1]) for n in range(6)))
    assert await pool.fetchval("select distinct n from thing") == 30


async def test_rows_that_are_not_there_are_left_out(pool: Any) -> None:
    async with pool.acquire() as conn, conn.transaction():
        rows = await lock_rows(conn, "thing", ["n1", "nobody"], column="name", type_="text", strength="no key update")
        assert [row["name"] for row in rows] == ["n1"]


async def test_only_names_make_a_statement(pool: Any) -> None:
    async with pool.acquire() as conn:
        with pytest.raises(ValueError, match="not a name"):
            await lock_rows(conn, "thing; drop table thing", [])


async def test_a_pooled_connection_comes_back_out_of_its_transaction(pool: Any) -> None:
    async def abandon() -> None:
        async with pool.acquire() as conn:
            await conn.transaction().start()
            await conn.execute("delete from thing")
            await asyncio.Event().wait()

    task = asyncio.create_task(abandon())
    while not await pool.fetchval("select count(*) from pg_stat_activity where query = 'delete from thing'"):
        await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.wait({task})
    assert await pool.fetchval("select count(*) from thing") == 50
    await asyncio.wait_for(pool.execute("update thing set n = 0"), 5)


async def test_every_connection_has_its_limits_and_a_name(settings: Settings) -> None:
    conn = await connect(settings)
    try:
        found = [
            await conn.fetchval(f"show {name}")
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "application_name")
        ]
        assert found == ["10s", "5s", "30s", "edge.worker.0"]
    finally:
        await conn.close()


async def test_migrations_may_be_repeated_and_run_at_once(settings: Settings, pool: Any) -> None:
    await asyncio.gather(*(migrate(settings, [KIT_MIGRATIONS]) for _ in range(3)))
    versions = [row["version"] for row in await pool.fetch("select version from schema_migrations order by version")]
    assert versions == sorted(path.name[:3] for path in KIT_MIGRATIONS.glob("*.sql"))


async def test_a_broken_migration_says_what_is_wrong(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "900_broken.sql").write_text("-- migrate:up\ncreate table oops (nonsense);\n-- migrate:down\n")
    with pytest.raises(MigrationFailed, match="syntax error"):
        await migrate(settings, [KIT_MIGRATIONS, tmp_path])
    conn = await asyncpg.connect(settings.database_url)
    try:
        assert await conn.fetchval("select count(*) from schema_migrations where version = '900'") == 0
    finally:
        await conn.close()


async def test_an_array_is_a_list_and_its_values_are_not_asked_whether_they_are_arrays_too(pool: Any) -> None:
    """The quick test that `database` puts into the driver is in force, and nested lists still are arrays."""
    assert await pool.fetchval("select $1::text[]", ["a", None]) == ["a", None]
    assert await pool.fetchval("select $1::int[]", [[1, 2], [3, 4]]) == [[1, 2], [3, 4]]
    with pytest.raises(asyncpg.DataError, match="a sized iterable container expected"):
        await pool.fetchval("select $1::int[]", {1, 2})
