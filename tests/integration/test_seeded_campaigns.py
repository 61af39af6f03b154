"""Broken on purpose: a clock read before the lock, a cap counted without one, joins settled again are each caught."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.kit.transaction.unit_of_work import UnitOfWork
from services.orders.repository.postgres import PostgresStore
from tests.integration import test_campaign_flow as flow
from tests.integration import test_campaign_http as http
from tests.integration.orders_world import Orders, open_orders
from tests.stack import TestStack

pytestmark = [pytest.mark.stack, pytest.mark.seeded]


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as world:
        yield world


async def test_seeded_a_clock_that_is_read_before_the_lock(orders: Orders, monkeypatch: pytest.MonkeyPatch):
    real = PostgresStore.lock_open_campaigns

    async def early(self: PostgresStore, ids: Any, now: Any) -> Any:
        def stale(uow: UnitOfWork) -> Any:
            uow._now = now
            return now

        monkeypatch.setattr(UnitOfWork, "read_clock", stale)
        return await real(self, ids, now)

    monkeypatch.setattr(PostgresStore, "lock_open_campaigns", early)
    with pytest.raises(AssertionError):
        await http.test_the_clock_is_read_under_the_lock(orders)


async def test_seeded_a_cap_that_is_counted_without_a_lock(orders: Orders, monkeypatch: pytest.MonkeyPatch):
    both, readers = asyncio.Event(), 0

    async def unlocked(self: PostgresStore, ids: Any) -> Any:
        nonlocal readers
        found = await self.read_tallies(ids)
        readers += 1
        if readers == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 60)  # both processes have read before either counts
        return found

    monkeypatch.setattr(PostgresStore, "lock_tallies", unlocked)
    # The joins' numbers are unique as well: two that were counted at once would be one of them, counted again.
    await orders.context.pool.execute("drop index campaign_join_log")
    with pytest.raises(AssertionError):
        await http.test_a_cap_holds_under_load_from_two_processes_and_numbers_are_the_log(orders)


async def test_seeded_joins_that_are_not_marked_as_settled(orders: Orders, monkeypatch: pytest.MonkeyPatch):
    real = PostgresStore.save_joins

    async def forget(self: PostgresStore, joins: Any) -> None:
        await real(self, [join for join in joins if join.state == "pledged"])

    monkeypatch.setattr(PostgresStore, "save_joins", forget)
    with pytest.raises(AssertionError):
        await flow.test_settling_goes_in_parts_and_resumes_after_a_crash_half_way(orders)
