"""Fixtures of the whole suite: the real stack, fresh databases, prefixes, and waiting for conditions."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from services.kit.database import connect_pool
from services.kit.settings import Settings
from tests import containers
from tests import stack as stacks

_used: list[stacks.Source] = []


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stacks.TestStack]:
    """The run's Kafka and PostgreSQL. Tests are isolated by `prefix` and `database`; a test that breaks the stack must
    repair it.
    """
    engine = None if os.environ.get(stacks.KAFKA_VARIABLE) else containers.engine_missing()
    source = stacks.choose(os.environ, containers.embedded_missing(), engine)
    _used.append(source)
    if source is stacks.Source.GIVEN:
        found = stacks.from_urls(os.environ)
    else:
        start = stacks.start_embedded if source is stacks.Source.EMBEDDED else containers.start_containers
        found = start(tmp_path_factory.mktemp("stack"))
    yield found
    found.stop()


@pytest.fixture
def prefix() -> str:
    """A unique prefix for topics and groups."""
    return f"t{secrets.token_hex(4)}."


@pytest.fixture
def topics(stack: stacks.TestStack, prefix: str) -> str:
    """The prefix, with the topics and permissions of the contracts created under it."""
    stack.topics(prefix)
    return prefix


@pytest.fixture
def database(stack: stacks.TestStack) -> Callable[[str], Awaitable[str]]:
    """`await database("orders")` returns the URL of a fresh database with the kit's and the service's migrations."""
    return stack.database


@pytest.fixture
async def make_pool() -> AsyncIterator[Callable[[Settings], Awaitable[asyncpg.Pool[asyncpg.Record]]]]:
    """`await make_pool(settings)` returns a pool that is closed after the test."""
    pools: list[asyncpg.Pool[asyncpg.Record]] = []

    async def make(settings: Settings) -> asyncpg.Pool[asyncpg.Record]:
        pools.append(await connect_pool(settings))
        return pools[-1]

    yield make
    for pool in pools:
        pool.terminate()


@pytest.fixture
def eventually() -> Callable[..., Awaitable[object]]:
    """`await eventually(condition, timeout)`: see `tests.stack.eventually`."""
    return stacks.eventually


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's folder."""
    return Path(__file__).parents[1]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the source of the stack, and the tests that were not run without a container engine."""
    for source in _used:
        terminalreporter.write_line(f"stack: {source}")
    if stacks.Source.CONTAINERS not in _used:
        engine = containers.engine_missing() or "the rule chose another source"
        terminalreporter.write_line(f"not run: the stack in containers ({engine})")
