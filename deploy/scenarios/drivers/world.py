"""Shared state of a day's actors: the schedule, the services, the clock, and messages between them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from deploy.scenarios.actors.client import rows
from deploy.scenarios.actors.credentials import DeviceClient
from deploy.scenarios.drivers.api import Api
from deploy.scenarios.drivers.pace import Pace
from deploy.scenarios.drivers.tally import Tally
from deploy.scenarios.schedule import Day, Fate, Order


@dataclass(slots=True)
class World:
    """One running day.

    `devices` has the client of each terminal (`terminal.ID`) and courier. `stocked` is set once stalls can open,
    `released` of a wave once its routes are released. `codes` has each order's pickup code, which the buyer says at the
    point or to the courier.
    """

    day: Day
    api: Api
    pace: Pace
    tally: Tally = field(default_factory=Tally)
    stocked: asyncio.Event = field(default_factory=asyncio.Event)
    released: dict[str, asyncio.Event] = field(default_factory=dict)
    codes: dict[UUID, str] = field(default_factory=dict)
    devices: dict[str, DeviceClient] = field(default_factory=dict)
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
        """Return the id of a station's wave of this day."""
        return f"{self.day.market_day}-{station}-{name}"

    def goes_offline(self, wave: str) -> bool:
        """Return True if the next round of this wave is offline: the first ones are, whoever drives them.

        A plan's couriers are not known before.
        """
        self._rounds[wave] += 1
        return self._rounds[wave] <= self.day.scenario.courier_days.rounds_offline

    def chance(self, who: str) -> Random:
        """Return an actor's own random source, the same for the day's seed."""
        return Random(f"{self.day.market_day}/{self.day.seed}/{who}")

    def fate(self, order: UUID) -> Fate:
        """Return the fate of an order at its door; an order that is not of this day is accepted."""
        known = self._orders.get(order)
        return known.fate if known else Fate.FETCHES

    def settle(self, order: Order) -> None:
        """Mark an order as settled: its buyer has finished every action before it is handed over."""
        self._settled[order.id].set()

    def is_settled(self, order: UUID) -> bool:
        """Return whether an order is settled; orders of group-buys always are."""
        return order not in self._settled or self._settled[order].is_set()

    async def settled(self, orders: Iterable[Order]) -> None:
        """Return when all of these orders are settled."""
        for order in orders:
            await self._settled[order.id].wait()

    def orders(self, state: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Return the operator's list of the day's orders, or of those in a state."""
        query = {"market_day": self.day.market_day} | ({"state": state} if state else {})
        return rows(self.api, "orders", "/v1/orders", **query)
