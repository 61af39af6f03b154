"""Principals from the topic: stored once whatever comes again, and known to every process within seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import pytest

from contracts.envelope import Envelope
from contracts.events.access import (
    AccessEvent,
    BoundsOf,
    DeviceKey,
    KeyStatus,
    Kind,
    PrincipalPut,
    SigningKeyPut,
    Status,
)
from contracts.registry import MODELS, encode
from services.kit.consumer.dedup import Inbox
from services.kit.consumer.processor import BatchProcessor
from services.kit.consumer.subscription import TopicSource
from services.kit.context import Context
from services.kit.database import Reader
from services.kit.identity.directory import Directory
from services.kit.identity.events import PRINCIPALS, IdentityRepository
from services.kit.transaction.message import Record
from tests.integration.orders_world import Orders, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack
SINCE = datetime(2026, 11, 7, tzinfo=UTC)
COORDINATE = "A" * 43


def principal(id: str, version: int = 1, **changes: Any) -> PrincipalPut:
    key = DeviceKey(thumbprint="k" * 43, x=COORDINATE, y=COORDINATE, since=SINCE, device="k" * 43)
    event = PrincipalPut(
        id=id, version=version, kind=Kind.TERMINAL, scopes=["sale:submit"], bounds=BoundsOf(sites=["s1"]),
        keys=[key], status=Status.ACTIVE,
    )  # fmt: skip
    return event.model_copy(update=changes)


def record(event: AccessEvent, offset: int) -> Record:
    envelope = Envelope(uuid4(), event.TYPE, "access", event.subject, SINCE, offset + 1, event.key)
    return Record(event.TOPIC, 0, offset, event.key.encode(), encode(event), envelope.headers())


def processor(context: Context) -> BatchProcessor[TopicSource]:
    return BatchProcessor(TopicSource("orders", PRINCIPALS, MODELS), Inbox(), IdentityRepository, context)


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as world:
        yield world


async def test_a_state_replaces_an_older_one_only(orders: Orders) -> None:
    directory, feed = Directory(), processor(orders.context)
    states = [principal("terminal.t1", 2, status=Status.REVOKED), principal("terminal.t1", 1), principal("terminal.t2")]
    await feed.handle([record(state, n) for n, state in enumerate(states)])
    await directory.refresh(orders.context.pool)
    assert {id: (one.version, one.active) for id, one in directory.principals.items()} == {
        "terminal.t1": (2, False),
        "terminal.t2": (1, True),
    }
    await feed.handle([record(principal("terminal.t1", 1), 3), record(principal("terminal.t2", 2, keys=[]), 4)])
    await directory.refresh(orders.context.pool)
    assert not directory.principals["terminal.t1"].active
    assert directory.principals["terminal.t2"].keys == frozenset()


async def test_a_retired_signing_key_is_gone(orders: Orders) -> None:
    directory, feed = Directory(), processor(orders.context)
    keys = [SigningKeyPut(id=id, version=1, x=COORDINATE, y=COORDINATE, status=KeyStatus.CURRENT) for id in ("a", "b")]
    await feed.handle([record(key, n) for n, key in enumerate(keys)])
    await directory.refresh(orders.context.pool)
    assert set(directory.signing_keys) == {"a", "b"}
    retired = keys[0].model_copy(update={"version": 2, "status": KeyStatus.RETIRED})
    await feed.handle([record(retired, 2)])
    await directory.refresh(orders.context.pool)
    assert set(directory.signing_keys) == {"b"}


async def test_a_change_that_is_committed_late_is_not_missed(orders: Orders) -> None:
    """Two changes at the same time: the first one to begin commits last, after a reader has seen the other."""
    pool, directory = orders.context.pool, Directory()
    first, second = (record(principal(f"terminal.t{n}"), n) for n in (1, 2))
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Slow(IdentityRepository):
        async def save(self) -> None:
            await super().save()
            begun.set()
            await go_on.wait()

    slow = BatchProcessor(TopicSource("orders", PRINCIPALS, MODELS), Inbox(), Slow, orders.context)
    late = asyncio.create_task(slow.handle([first]))
    await begun.wait()
    other = asyncio.create_task(processor(orders.context).handle([second]))
    await directory.refresh(pool)
    go_on.set()
    await asyncio.gather(late, other)
    await directory.refresh(pool)
    assert set(directory.principals) == {"terminal.t1", "terminal.t2"}


async def test_a_commit_between_the_reads_of_both_tables_hides_no_revocation(orders: Orders) -> None:
    """A subject is revoked and a signing key changes after the principals were read, before the keys are."""
    pool, directory, feed = orders.context.pool, Directory(), processor(orders.context)
    await feed.handle([record(principal("terminal.t1"), 0)])
    await directory.refresh(pool)
    key = SigningKeyPut(id="a", version=1, x=COORDINATE, y=COORDINATE, status=KeyStatus.CURRENT)
    changes = [record(principal("terminal.t1", 2, status=Status.REVOKED), 1), record(key, 2)]

    class Between:
        async def fetch(self, query: str, *args: Any) -> Any:
            rows = await pool.fetch(query, *args)
            while changes:
                await feed.handle([changes.pop(0)])
            return rows

    await directory.refresh(cast("Reader", Between()))
    assert (directory.principals["terminal.t1"].active, set(directory.signing_keys)) == (True, {"a"})
    await directory.refresh(pool)
    assert not directory.principals["terminal.t1"].active


async def test_a_follower_knows_a_revocation_at_once(orders: Orders) -> None:
    directory, feed = Directory(), processor(orders.context)
    following = asyncio.create_task(directory.follow(orders.context.settings))
    try:
        await feed.handle([record(principal("terminal.t1"), 0)])
        await until(lambda: "terminal.t1" in directory.principals)
        began = time.monotonic()
        await feed.handle([record(principal("terminal.t1", 2, status=Status.REVOKED), 1)])
        await until(lambda: not directory.principals["terminal.t1"].active)
        assert time.monotonic() - began < 5
    finally:
        following.cancel()


async def until(holds: Any) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


def test_the_subscription_has_a_repository_of_its_own() -> None:
    assert replace(PRINCIPALS).open_repository is IdentityRepository
