"""Generates stall customers and the allotments of the terminals."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from deploy.scenarios.generator.chance import Chance
from deploy.scenarios.model import Good, Scenario, SiteTerminals
from deploy.scenarios.schedule import Line, Sale, Stall

# Lent above what a stall will sell of a usual good, in percent.
SPARE = 20


def make_stalls(scenario: Scenario, chance: Chance) -> list[Stall]:
    """Return every stall with its customers by minute. Allotments exceed the demand of usual goods, not of scarce
    ones.
    """
    maker = _Maker(scenario, chance)
    stalls = [maker.stall(group, number) for group in scenario.terminals for number in range(1, group.stalls + 1)]
    return _with_voids(scenario, chance.of("voids"), stalls)


class _Maker:
    def __init__(self, scenario: Scenario, chance: Chance) -> None:
        self._scenario = scenario
        self._chance = chance
        self._rng = chance.of("stalls")
        self._made = 0

    def stall(self, group: SiteTerminals, number: int) -> Stall:
        terminal = f"{group.site}-{number}"
        table = self._rng.sample([g for g in self._scenario.goods if not g.scarce], self._scenario.stalls.goods_each)
        sales = [self._sale(self._some(table)) for _ in range(self._scenario.stalls.sales_each)]
        wanted = Counter[str]()
        for sale in sales:
            wanted.update({line.item: line.quantity for line in sale.lines})
        lent = {item: quantity + -(-quantity * SPARE // 100) for item, quantity in sorted(wanted.items())}
        for scarce in self._scenario.scarce:
            if terminal in scarce.terminals:
                unit = self._scenario.good(scarce.item).usual[0]
                sales += [self._sale((Line(scarce.item, unit),)) for _ in range(scarce.wanted_each)]
                lent[scarce.item] = scarce.lent_each * unit
        sales.sort(key=lambda sale: (sale.at, sale.id))
        return Stall(terminal, group.site, group.offline.get(number), lent, tuple(sales))

    def _some(self, table: list[Good]) -> tuple[Line, ...]:
        goods = self._rng.sample(table, self._rng.choice((1, 1, 1, 2)))
        return tuple(Line(good.id, self._rng.choice(good.usual)) for good in goods)

    def _sale(self, lines: tuple[Line, ...]) -> Sale:
        self._made += 1
        at = self._rng.uniform(self._scenario.opens + 4, self._scenario.last_order)
        return Sale(self._chance.id("sale", self._made), at, lines)


def _with_voids(scenario: Scenario, rng: Random, stalls: list[Stall]) -> list[Stall]:
    scarce = {good.id for good in scenario.goods if good.scarce}
    usual = [sale.id for stall in stalls for sale in stall.sales if sale.lines[0].item not in scarce]
    undone = set(rng.sample(usual, min(scenario.stalls.voids, len(usual))))

    def of(sale: Sale) -> Sale:
        return replace(sale, voided_at=sale.at + rng.uniform(0.5, 3.5)) if sale.id in undone else sale

    return [replace(stall, sales=tuple(of(sale) for sale in stall.sales)) for stall in stalls]
