"""What the people of one played day share: the plan, the services, the clock, and what they tell each other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from deploy.scenarios.drivers.api import Api
from deploy.scenarios.drivers.pace import Pace
from deploy.scenarios.drivers.tally import Tally
from deploy.scenarios.schedule import Day, Fate, Order

ENDED = frozenset({"rejected", "expired", "cancelled", "failed", "delivered", "collected", "returned"})


@dataclass(slots=True)
class World:
    """One day being played.

    `stocked` is set once stalls may open, `released` of a wave once its routes are handed out. `codes` is what each
    buyer was told with the order: they say it at the point or to the courier.
    """

    day: Day
    api: Api
    pace: Pace
    tally: Tally = field(default_factory=Tally)
    stocked: asyncio.Event = field(default_factory=asyncio.Event)
    released: dict[str, asyncio.Event] = field(default_factory=dict)
    codes: dict[UUID, str] = field(default_factory=dict)
    _rounds: Counter[str] = field(default_factory=Counter)
    _settled: dict[UUID, asyncio.Event] = field(default_factory=dict)
    _orders: dict[UUID, Order] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._orders = {order.id: order for order in self.day.orders}
        self._settled = {order.id: asyncio.Event() for order in self.day.orders}
        self.released = {
            self.wave(wave.id, station.id): asyncio.Event()
            for wave in self.day.scenario.waves
            for station in self.day.scenario.stations
        }

    def wave(self, name: str, station: str) -> str:
        """The id of a station's wave of this day."""
        return f"{self.day.market_day}-{station}-{name}"

    def goes_offline(self, wave: str) -> bool:
        """Whether the next round of this wave is one without a network: the first ones are, whoever drives them.

        Which couriers a plan sends out isn't known before.
        """
        self._rounds[wave] += 1
        return self._rounds[wave] <= self.day.scenario.courier_days.rounds_offline

    def chance(self, who: str) -> Random:
        """Somebody's own source of chance, the same for the day's seed."""
        return Random(f"{self.day.market_day}/{self.day.seed}/{who}")

    def fate(self, order: UUID) -> Fate:
        """What will happen at an order's door; an order that is not of this day is taken."""
        known = self._orders.get(order)
        return known.fate if known else Fate.FETCHES

    def settle(self, order: Order) -> None:
        """Its buyer has done all that they meant to do with it before it comes."""
        self._settled[order.id].set()

    def is_settled(self, order: UUID) -> bool:
        """Whether it was settled; what a group-buy came to always is."""
        return order not in self._settled or self._settled[order].is_set()

    async def settled(self, orders: Iterable[Order]) -> None:
        """Returns when all of these are settled."""
        for order in orders:
            await self._settled[order.id].wait()

    async def order(self, order: UUID) -> dict[str, Any]:
        """An order as its buyer sees it."""
        found: dict[str, Any] = await self.api.get("buyer", "orders", f"/v1/orders/{order}")
        return found
