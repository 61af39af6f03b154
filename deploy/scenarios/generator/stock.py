"""Generates the households' lots: enough of every usual good, exactly the stated stock of a scarce one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from deploy.scenarios.generator.chance import Chance
from deploy.scenarios.model import Scenario
from deploy.scenarios.schedule import GroupBuy, Household, Lot, Order, Stall

# Brought above what is wanted of a usual good, in percent; every so many lots a part fails inspection.
SPARE = 25
PARTLY_BAD_EVERY = 9


def make_lots(
    scenario: Scenario, chance: Chance, wanted: Counter[tuple[str, str]], households: Iterable[Household]
) -> list[Lot]:
    """Return the lots by minute. The passed quantity covers the demand, or equals the stock of a scarce good."""
    rng = chance.of("lots")
    by_village: dict[str, list[str]] = {}
    for household in households:
        by_village.setdefault(household.village, []).append(household.id)
    lots: list[Lot] = []
    for (site, item), amount in sorted(_needed(scenario, wanted).items()):
        good = scenario.good(item)
        bringers = [home for village in good.origins for home in by_village[village]]
        for home, passed in _split(amount, rng.sample(bringers, 2), good.usual[0]):
            bad = good.usual[0] if len(lots) % PARTLY_BAD_EVERY == 0 else 0
            at = scenario.first_lots + rng.uniform(0, 40)
            lots.append(Lot(chance.id("lot", len(lots)), at, site, item, home, passed + bad, passed))
    return sorted(lots, key=lambda lot: (lot.at, lot.id))


def wanted(
    scenario: Scenario, orders: Iterable[Order], group_buys: Iterable[GroupBuy], stalls: Iterable[Stall]
) -> Counter[tuple[str, str]]:
    """Return the demand of orders, pledges and allotments, by site and good."""
    found = Counter[tuple[str, str]]()
    for order in orders:
        site = scenario.site_of(order.community).id
        found.update({(site, line.item): line.quantity for line in order.lines})
    for buy in group_buys:
        found[scenario.site_of(buy.terms.community).id, buy.line.item] += buy.line.quantity * len(buy.pledges)
    for stall in stalls:
        found.update({(stall.site, item): quantity for item, quantity in stall.lent.items()})
    return found


def _needed(scenario: Scenario, wanted: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    needed = Counter({key: amount + -(-amount * SPARE // 100) for key, amount in wanted.items()})
    for site, item, stock in scenario.shortages():
        needed[site, item] = stock * scenario.good(item).usual[0]
    return needed


def _split(amount: int, homes: list[str], unit: int) -> list[tuple[str, int]]:
    first = amount // 2 // unit * unit
    return [(home, part) for home, part in zip(homes, (first, amount - first), strict=True) if part]
