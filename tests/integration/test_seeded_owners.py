"""Broken on purpose: each rule about group-buys and capabilities is left out in turn, and a test of owners fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from services.orders.api import campaign as routes
from services.orders.api.schemas import campaign as schemas
from services.orders.api.schemas import order as order_schemas
from services.orders.app import SERVICE
from services.orders.commands import campaign as commands
from services.orders.domain import access, capability
from services.orders.repository.postgres import PostgresStore
from tests.integration import test_group_buy_owners as owners
from tests.integration import test_hold_quota as quota
from tests.integration import test_order_capability as visits
from tests.integration.callers import Callers
from tests.integration.orders_world import Orders, open_orders
from tests.stack import TestStack

pytestmark = [pytest.mark.stack, pytest.mark.seeded]
Test = Callable[[Orders, Callers], Awaitable[None]]


def anyone(*_: Any) -> bool:
    return True


def nobody(*_: Any) -> bool:
    return False


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as world:
        yield world


@pytest.mark.parametrize(
    ("module", "rule", "broken", "test"),
    [
        (routes, "sees_campaign", anyone, owners.test_a_leader_opens_within_her_communities),
        (routes, "sees_campaign", anyone, owners.test_a_campaign_is_seen_within_the_bounds_of_its_caller),
        (schemas, "sees_campaign", anyone, owners.test_a_campaign_is_seen_within_the_bounds_of_its_caller),
        (routes, "may_read_join", anyone, owners.test_a_join_is_its_owners_its_leaders_and_staffs),
        (commands, "may_withdraw", anyone, owners.test_a_join_is_its_owners_its_leaders_and_staffs),
        (routes, "sees_joins", anyone, owners.test_only_its_leader_and_staff_list_the_joins),
        (routes, "sees_joins", anyone, owners.test_a_verdict_names_no_joins_of_others),
        (routes, "may_relay", anyone, owners.test_only_its_leader_relays_a_list_and_its_entries_have_secret_ids),
        (
            schemas,
            "keyed_id",
            lambda _, name: schemas._ENTRIES.id(name),
            owners.test_only_its_leader_relays_a_list_and_its_entries_have_secret_ids,
        ),
        (schemas, "_owned", lambda content, _: content, owners.test_a_leader_opens_within_her_communities),
        (access, "_leads", nobody, owners.test_an_order_of_a_join_is_its_owners_and_its_leader_hands_it_over),
        (access, "_leads", anyone, owners.test_an_order_of_a_join_is_its_owners_and_its_leader_hands_it_over),
        (access, "_in_bounds", anyone, owners.test_a_join_is_its_owners_its_leaders_and_staffs),
    ],
)
async def test_a_missing_rule_is_noticed(
    orders: Orders, monkeypatch: pytest.MonkeyPatch, module: Any, rule: str, broken: Any, test: Test
) -> None:
    monkeypatch.setattr(module, rule, broken)
    with pytest.raises(AssertionError):
        await test(orders, Callers(SERVICE, orders.context))


async def test_a_member_who_may_promise_anything_is_noticed(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "check_payment", anyone)
    callers = Callers(SERVICE, orders.context)
    with pytest.raises(AssertionError):
        await owners.test_a_member_does_not_say_that_a_join_is_paid(orders, callers, "prepaid", 422)


@pytest.mark.parametrize(
    ("where", "rule", "broken", "test"),
    [
        (capability.CapabilityKey, "opens", anyone, visits.test_a_capability_opens_nothing_else),
        (capability, "has_capability", anyone, visits.test_a_capability_opens_nothing_else),
        (capability, "has_lapsed", nobody, visits.test_a_capability_lapses_thirty_days_after_the_end),
        (
            order_schemas,
            "owner_of",
            lambda digest: f"capability.{digest}",
            visits.test_neither_digest_nor_capability_is_stored,
        ),
        (order_schemas, "owner_of", lambda _: "capability.all", visits.test_an_id_or_key_belongs_to_its_digest),
        (order_schemas, "check_payment", anyone, visits.test_an_order_without_a_token_needs_a_digest_and_is_pending),
    ],
)
async def test_a_missing_rule_of_capabilities_is_noticed(
    stack: TestStack, monkeypatch: pytest.MonkeyPatch, where: Any, rule: str, broken: Any, test: Any
) -> None:
    monkeypatch.setenv("HALFDAY_CAPABILITY_KEY", visits.KEY)
    monkeypatch.setattr(where, rule, broken)
    async with open_orders(stack) as orders:
        with pytest.raises(AssertionError):
            await test(orders)


async def test_a_quota_that_is_counted_without_a_lock_is_noticed(
    stack: TestStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, readers = asyncio.Event(), 0

    async def unlocked(self: PostgresStore, holders: Any) -> Any:
        nonlocal readers
        statement = "select holder, count(*)::int from hold where holder = any($1::text[]) group by holder"
        found = dict(await self._conn.fetch(statement, list(holders)))
        readers += 1
        if readers == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 60)  # both processes have read before either counts
        return found

    monkeypatch.setenv("HALFDAY_CAPABILITY_KEY", visits.KEY)
    monkeypatch.setenv("HALFDAY_HOLD_QUOTA", "2")
    monkeypatch.setattr(PostgresStore, "count_holds", unlocked)
    async with open_orders(stack) as orders:
        with pytest.raises(AssertionError):
            await quota.test_a_quota_holds_in_two_processes(orders)
