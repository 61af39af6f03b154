"""Group-buys on the orders service under test: a campaign of honey and tofu that closes two hours into the world."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from contracts.events import inventory as i
from contracts.events.orders import GoodsLine
from contracts.values import reservation_of
from tests.integration.orders_world import NOW, Orders, at

POOL = "sat@square"
CLOSES = NOW + timedelta(hours=2)
PRICES = {
    "prices/honey-group": {"item": "honey", "channel": "group", "price_fen": 500, "effective_from": at(-24)},
    "prices/tofu-group": {"item": "tofu", "channel": "group", "price_fen": 900, "effective_from": at(-24)},
}


def a_campaign(**more: Any) -> dict[str, Any]:
    """The body of a good campaign: forms with two people."""
    return {
        "market_day": "sat",
        "community": "qifeng",
        "closes_at": CLOSES.isoformat(),
        "goods": [{"item": "honey", "quantity": 100}, {"item": "tofu", "weight_g": 50_000}],
        "threshold": {"of": "people", "at_least": 2},
        "shortfall": "first-come",
        **more,
    }


def a_join(caller: int = 0, honey: int = 2, **more: Any) -> dict[str, Any]:
    """The body of a good join: some jars of honey, fetched at the gate."""
    return {
        "recipient": {"name": "李姐", "phone": f"139{caller:08}"},
        "lines": [{"item": "honey", "quantity": honey}],
        "fulfilment": {"kind": "pickup", "point": "gate"},
        "payment": "on_account",
        **more,
    }


class Campaigns:
    """Drives one campaign from outside, and answers as inventory would."""

    def __init__(self, orders: Orders, id: UUID) -> None:
        self.orders, self.id = orders, id

    @property
    def claim(self) -> dict[str, Any]:
        """Return the campaign's reservation as inventory's answers name it."""
        return {"reservation": reservation_of(self.id, POOL, 1), "pool": POOL, "order": self.id}

    async def join(self, caller: int = 0, honey: int = 2, **more: Any) -> UUID:
        """A taken join's id."""
        answer = await self.orders.post(f"/v1/campaigns/{self.id}/joins", a_join(caller, honey, **more))
        assert answer.status_code == 201, answer.text
        return UUID(answer.json()["join_id"])

    async def shown(self) -> Any:
        """Return the campaign's current view."""
        return (await self.orders.get(f"/v1/campaigns/{self.id}")).json()

    async def joins(self) -> list[dict[str, Any]]:
        """All joins in log order."""
        return list((await self.orders.get(f"/v1/campaigns/{self.id}/joins?limit=500", "leader")).json()["items"])

    async def cut(self) -> None:
        """The cutoff comes."""
        self.orders.clock.set(CLOSES)
        await self.orders.sweep()

    async def grant(self, **quantities: int) -> None:
        """Inventory grants so much of each item, or refuses where that is nothing."""
        lines = [GoodsLine(line=n, item=item, quantity=q) for n, (item, q) in enumerate(quantities.items(), 1) if q]
        if lines:
            await self.orders.hear(i.StockReserved(**self.claim, firm=True, lines=lines))
        else:
            await self.orders.hear(i.StockRefused(**self.claim, reason="short"))

    async def release(self) -> None:
        """Inventory has released what was left."""
        await self.orders.hear(i.ReservationReleased(**self.claim, quantity=0))

    async def published(self) -> Sequence[str]:
        """The names of the campaign's own events, in order."""
        return await self.orders.names("orders.campaign.v1", self.id)


async def open_one(orders: Orders, **more: Any) -> Campaigns:
    """A campaign that takes joins."""
    for path, body in PRICES.items():
        assert (await orders.put(path, body)).status_code == 200
    answer = await orders.post("/v1/campaigns", a_campaign(**more), "leader")
    assert answer.status_code == 201, answer.text
    return Campaigns(orders, UUID(answer.json()["campaign_id"]))
