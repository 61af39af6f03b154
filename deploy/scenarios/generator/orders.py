"""Generates orders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from deploy.scenarios.generator import people
from deploy.scenarios.generator.behaviour import with_behaviour
from deploy.scenarios.generator.chance import Chance
from deploy.scenarios.model import Burst, Channel, Community, Good, Scarce, Scenario, Way
from deploy.scenarios.schedule import Line, Order

PAYMENTS: dict[Channel, tuple[str, ...]] = {
    "app": ("prepaid", "prepaid", "on_account"),
    "group": ("on_account",),
    "live": ("prepaid",),
    "stall": ("prepaid",),
}


def make_orders(scenario: Scenario, chance: Chance) -> list[Order]:
    """Return all orders by minute: the usual ones with their behaviour, then scarce ones, which end plainly."""
    maker = _Maker(scenario, chance)
    usual = with_behaviour(scenario, chance.of("behaviour"), list(maker.usual()))
    return sorted([*usual, *maker.scarce()], key=lambda order: (order.at, order.id))


class _Maker:
    def __init__(self, scenario: Scenario, chance: Chance) -> None:
        self._scenario = scenario
        self._chance = chance
        self._rng = chance.of("orders")
        self._made = 0
        self._goods = [good for good in scenario.goods if not good.scarce]
        self._open: tuple[float, float] = (scenario.opens + 4, scenario.last_order)

    def usual(self) -> Iterator[Order]:
        counts, places = self._scenario.orders, self._scenario.communities
        for _ in range(counts.app):
            yield self._order("app", self._rng.choice(places), "delivery", self._rng.uniform(*self._open), self._some())
        for burst in self._scenario.bursts:
            for number in range(burst.orders):
                good = self._scenario.good(self._rng.choice(burst.goods))
                yield self._viewer(burst, number, _line(self._rng, good))
        for number in range(counts.group):
            at = counts.lists_at[number // len(places) % len(counts.lists_at)]
            yield self._order("group", places[number % len(places)], "pickup", at, self._some())
        for _ in range(counts.stall):
            yield self._order("stall", self._rng.choice(places), "pickup", self._rng.uniform(*self._open), self._some())

    def scarce(self) -> Iterator[Order]:
        for wanted in self._scenario.scarce:
            yield from self._wanted(wanted)
        for burst in self._scenario.bursts:
            for number in range(burst.of_scarce):
                yield self._viewer(burst, number, Line(burst.scarce, self._scenario.good(burst.scarce).usual[0]))

    def _wanted(self, wanted: Scarce) -> Iterator[Order]:
        homes = self._homes(wanted.site)
        lines = (Line(wanted.item, self._scenario.good(wanted.item).usual[0]),)
        for _ in range(wanted.orders):
            at = self._rng.uniform(*self._open)
            yield self._order("app", self._rng.choice(homes), wanted.fulfilment, at, lines)

    def _viewer(self, burst: Burst, number: int, line: Line) -> Order:
        """Return the `number`-th order of a good in a livestream, all within one minute."""
        home = self._rng.choice(self._homes(burst.sites[number % len(burst.sites)]))
        order = self._order("live", home, burst.fulfilment, burst.at + self._rng.random(), (line,))
        return replace(order, burst=burst.id)

    def _homes(self, site: str) -> list[Community]:
        served = next(one.communities for one in self._scenario.sites if one.id == site)
        return [place for place in self._scenario.communities if place.id in served]

    def _some(self) -> tuple[Line, ...]:
        goods = self._rng.sample(self._goods, self._rng.choice((1, 1, 2, 2, 3)))
        return tuple(_line(self._rng, good) for good in goods)

    def _order(self, channel: Channel, place: Community, way: Way, at: float, lines: tuple[Line, ...]) -> Order:
        rng, self._made = self._rng, self._made + 1
        fetches_at = rng.uniform(self._scenario.terminals_close + 30, self._scenario.points_close - 150)
        return Order(
            id=self._chance.id("order", self._made),
            at=at,
            channel=channel,
            community=place.id,
            name=people.name(rng),
            phone=people.phone(rng),
            lines=lines,
            way=way,
            address=people.address(rng, place) if way == "delivery" else None,
            payment=rng.choice(PAYMENTS[channel]),
            fetches_at=fetches_at if way == "pickup" else None,
        )


def _line(rng: Random, good: Good) -> Line:
    return Line(good.id, rng.choice(good.usual))
