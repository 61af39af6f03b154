"""Fixtures of the contract suites: databases in memory and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from services.kit.settings import Settings
from tests.contract.stores.databases import MemoryDatabase, PostgresDatabase, StoreDatabase
from tests.simulation.stores.kit import TABLES
from tests.stack import TestStack

MakePool = Callable[[Settings], Awaitable["asyncpg.Pool[asyncpg.Record]"]]


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def backend(request: pytest.FixtureRequest) -> TestStack | None:
    """The stack for a case on PostgreSQL, None for one in memory."""
    return request.getfixturevalue("stack") if request.param == "postgres" else None


@pytest.fixture
def open_database(backend: TestStack | None, make_pool: MakePool) -> Callable[[str], Awaitable[StoreDatabase]]:
    """`await open_database("orders")` returns an empty database of the service; the test runs on each kind."""

    async def opened(service: str) -> StoreDatabase:
        return await _postgres(backend, make_pool, service) if backend else MemoryDatabase(service)

    return opened


@pytest.fixture
async def kit_database(backend: TestStack | None, make_pool: MakePool) -> StoreDatabase:
    """An empty database; its store is a function that opens a table of the kit by its class."""
    if backend:
        pool = await make_pool(Settings(database_url=await backend.database("dispatch")))
        return PostgresDatabase("dispatch", pool, lambda conn: lambda kind: kind(conn))
    return MemoryDatabase("dispatch", lambda conn: lambda kind: TABLES[kind](conn))


@pytest.fixture
def open_pair(stack: TestStack, make_pool: MakePool) -> Callable[[str], Awaitable[tuple[StoreDatabase, StoreDatabase]]]:
    """`await open_pair("orders")` returns one in memory and one in PostgreSQL, for a test that compares them."""

    async def opened(service: str) -> tuple[StoreDatabase, StoreDatabase]:
        return MemoryDatabase(service), await _postgres(stack, make_pool, service)

    return opened


async def _postgres(stack: TestStack, make_pool: MakePool, service: str) -> StoreDatabase:
    return PostgresDatabase(service, await make_pool(Settings(database_url=await stack.database(service))))
