"""A group-buy between the real orders and the real inventory; the test passes messages between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
import pytest

from contracts.envelope import Event
from contracts.registry import decode
from services.kit.context import Context
from tests.integration.campaign_world import CLOSES, POOL, Campaigns, open_one
from tests.integration.inventory_service import Inventory, open_inventory
from tests.integration.orders_world import CATALOG, NOW, Orders, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack


@dataclass
class TwoServices:
    """Both services. `carry` brings every record across, each once, until neither has more to say."""

    orders: Orders
    inventory: Inventory
    seen: set[UUID] = field(default_factory=set)

    async def carry(self) -> None:
        while True:
            await self.orders.sweep()
            asked = await self._fresh(self.orders.context, "inventory.command.v1")
            if asked:
                await self.inventory.hear(*asked)
            answered = await self._fresh(self.inventory.context, "inventory.stock.v1")
            if answered:
                await self.orders.hear(*answered)
            if not asked and not answered:
                return

    async def _fresh(self, context: Context, topic: str) -> list[Event]:
        rows = await context.pool.fetch(
            "select event_id, headers, payload from outbox where topic = $1 order by id", topic
        )
        fresh = [row for row in rows if row["event_id"] not in self.seen]
        self.seen |= {row["event_id"] for row in fresh}
        return [decode(orjson.loads(row["headers"])["ce_type"], row["payload"]) for row in fresh]

    async def stocked(self, quantity: int) -> None:
        """Put so many jars of honey in the pool."""
        await self.inventory.stocked("honey", quantity, pool=POOL, harvested_at=NOW.isoformat())

    async def figures(self) -> tuple[int, ...]:
        """Honey: on hand, allocated, shortfall, available"""
        (row,) = (await self.inventory.get("/v1/stock", params={"pool": POOL, "item": "honey"}))["stock"]
        return tuple(row[name] for name in ("on_hand", "allocated", "shortfall", "available"))

    async def waste(self, quantity: int) -> None:
        """Jars that broke."""
        answer = await self.inventory.post("/v1/waste", {"pool": POOL, "item": "honey", "quantity": quantity})
        assert answer.is_success, answer.text

    async def states(self) -> list[str]:
        """The orders' states in the order of the joins."""
        rows = await self.orders.context.pool.fetch(
            "select o.state from orders o join campaign_join j using (order_id) order by j.n"
        )
        return [row["state"] for row in rows]


@pytest.fixture
async def services(stack: TestStack) -> AsyncIterator[TwoServices]:
    async with open_orders(stack) as orders, open_inventory(stack) as inventory:
        inventory.clock.set(NOW)
        for path, body in CATALOG.items():
            await orders.put(path, body | ({"name_en": "again"} if "name_zh" in body else {}))
        published = [
            e for e in await orders.published("orders.catalog.v1") if type(e).__name__ in {"ItemPut", "SitePut"}
        ]
        day: dict[str, Any] = {"id": "sat", **CATALOG["market-days/sat"]}
        await inventory.hear(*published, decode("market.orders.market-day-put.v1", orjson.dumps(day)))
        yield TwoServices(orders, inventory)


async def pledged(services: TwoServices, *quantities: int, **more: Any) -> Campaigns:
    """A campaign with prepaid joins of so many jars each, at its cutoff."""
    campaign = await open_one(services.orders, **more)
    for n, quantity in enumerate(quantities):
        await campaign.join(n, quantity, payment="prepaid")
    services.inventory.clock.set(CLOSES)
    await campaign.cut()
    return campaign


async def test_a_formed_campaign_takes_what_its_orders_need_and_no_more(services: TwoServices):
    await services.stocked(20)
    campaign = await pledged(services, 3, 4, 5)
    await services.carry()
    assert (await campaign.shown())["settled"]
    assert await services.states() == ["reserved"] * 3
    assert await services.figures() == (20, 12, 0, 8)
    await services.inventory.adds_up()


async def test_a_short_campaign_shares_what_there_is(services: TwoServices):
    await services.stocked(9)
    campaign = await pledged(services, 3, 4, 5)
    await services.carry()
    assert await services.states() == ["reserved"] * 3
    assert await services.figures() == (9, 9, 0, 0)
    joins = await campaign.joins()
    assert [(one["granted"], one["refunded_fen"]) for one in joins] == [([3], 0), ([4], 0), ([2], 1500)]


@pytest.mark.parametrize(("stock", "more"), [(20, {"threshold": {"of": "people", "at_least": 9}}), (0, {})])
async def test_a_failed_campaign_leaves_nothing_behind(services: TwoServices, stock: int, more: dict[str, Any]):
    if stock:
        await services.stocked(stock)
    campaign = await pledged(services, 3, 4, **more)
    await services.carry()
    shown = await campaign.shown()
    assert (shown["state"], shown["settled"]) == ("failed", True)
    assert sum(one["refunded_fen"] for one in await campaign.joins()) == 3500
    if stock:
        assert await services.figures() == (stock, 0, 0, stock)


async def test_what_breaks_between_the_verdict_and_the_orders_falls_on_the_last(services: TwoServices):
    await services.stocked(12)
    campaign = await pledged(services, 3, 4, 5)
    await services.inventory.hear(*await services._fresh(services.orders.context, "inventory.command.v1"))
    await services.waste(2)
    assert await services.figures() == (10, 12, 2, 0)
    await services.carry()
    assert (await campaign.shown())["settled"]
    assert await services.states() == ["reserved", "reserved", "rejected"]
    assert await services.figures() == (10, 7, 0, 3)
    money = await services.orders.context.pool.fetch("select state, paid_fen - refunded_fen as kept from orders")
    assert {(row["state"], row["kept"]) for row in money} == {("reserved", 1500), ("reserved", 2000), ("rejected", 0)}
    await services.inventory.adds_up()


async def test_two_campaigns_of_one_cutoff_share_one_pool(services: TwoServices):
    await services.stocked(10)
    first = await open_one(services.orders, threshold={"of": "people", "at_least": 1})
    second = await open_one(services.orders, shortfall="at-least-one-each")
    for n in range(3):
        await first.join(n, 2)
        await second.join(n, 2)
    services.inventory.clock.set(CLOSES)
    await first.cut()
    await services.carry()
    assert (await first.shown())["settled"]
    assert (await second.shown())["settled"]
    on_hand, allocated, shortfall, available = await services.figures()
    assert (on_hand, allocated, shortfall, available) == (10, 10, 0, 0)
    assert await services.states() == ["reserved"] * 6
    granted = [[one["granted"][0] for one in await campaign.joins()] for campaign in (first, second)]
    assert sorted(map(sum, granted)) == [4, 6]
