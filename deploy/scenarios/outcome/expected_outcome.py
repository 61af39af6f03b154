"""The outcome of a day that follows from its schedule alone, whatever the timing, to compare with the observed one."""

from __future__ import annotations

from collections import Counter

from deploy.scenarios.model import Scenario, Way
from deploy.scenarios.schedule import Day, ExpectedOutcome, Fate, GroupBuy, GroupBuyOutcome, Line, Order

ENDS = {
    Fate.CANCELS: "cancelled",
    Fate.NEVER_PAYS: "expired",
    Fate.PAYS_TOO_LATE: "cancelled",
    Fate.NOT_FETCHED: "returned",
    Fate.REFUSES: "returned",
}
# The first portion when everyone is to get some: a piece, or a jin (500 g).
PORTION_G = 500


def end_of(order: Order) -> str:
    """Return the end state of an order if its goods are available."""
    return ENDS.get(order.fate, "delivered" if order.way == "delivery" else "collected")


def expected_outcome(day: Day) -> ExpectedOutcome:
    """Return orders by end state, quantities sold and customers refused by good."""
    scarce = {good.id for good in day.scenario.goods if good.scarce}
    ends, sold, refused = Counter[str](), Counter[str](), Counter[str]()
    for order in day.orders:
        if order.lines[0].item not in scarce:
            end = end_of(order)
            ends[end] += 1
            if end in {"delivered", "collected"}:
                _add(sold, order.lines)
    for stall in day.stalls:
        for sale in stall.sales:
            if sale.lines[0].item not in scarce and sale.voided_at is None:
                _add(sold, sale.lines)
    for wanted in day.scenario.scarce:
        granted = _contested(ends, refused, wanted.item, wanted.fulfilment, wanted.orders, wanted.for_orders)
        at_stalls = len(wanted.terminals) * min(wanted.lent_each, wanted.wanted_each)
        sold[wanted.item] += (granted + at_stalls) * day.scenario.good(wanted.item).usual[0]
        refused[wanted.item] += len(wanted.terminals) * wanted.wanted_each - at_stalls
    for burst in day.scenario.bursts:
        for site in burst.sites:
            asked = burst.wanted_at(site)
            granted = _contested(ends, refused, burst.scarce, burst.fulfilment, asked, burst.stock)
            sold[burst.scarce] += granted * day.scenario.good(burst.scarce).usual[0]
    outcomes = {buy.terms.id: group_buy_outcome(day.scenario, buy) for buy in day.group_buys}
    for buy in day.group_buys:
        ends["collected"] += outcomes[buy.terms.id].served
        sold[buy.line.item] += outcomes[buy.terms.id].sold
    return ExpectedOutcome(+ends, +sold, +refused, outcomes)


def _contested(ends: Counter[str], refused: Counter[str], item: str, way: Way, asked: int, there: int) -> int:
    """Count the orders for a scarce good; return how many get it."""
    granted = min(asked, there)
    ends["delivered" if way == "delivery" else "collected"] += granted
    ends["rejected"] += asked - granted
    refused[item] += asked - granted
    return granted


def group_buy_outcome(scenario: Scenario, buy: GroupBuy) -> GroupBuyOutcome:
    """Return the result of a group-buy in which all joins pledge the same, whoever is first."""
    terms, asked, good = buy.terms, buy.line.quantity, scenario.good(buy.line.item)
    joins = sum(pledge.withdraws_at is None for pledge in buy.pledges)
    pledged = joins * asked
    there = pledged if terms.stock is None else min(pledged, terms.stock * good.usual[0])
    weight = pledged if good.unit == "gram" else pledged * good.load_g
    reached = {
        "people": joins, "quantity": pledged, "weight": weight, "amount": joins * good.cost("group", asked)
    }[terms.threshold.of]  # fmt: skip
    if reached < terms.threshold.at_least or not there:
        return GroupBuyOutcome(joins, pledged, "failed", 0, 0, joins)
    portion = min(asked, 1 if good.unit == "piece" else PORTION_G) if terms.shortfall == "at-least-one-each" else 0
    shares = _shares(joins, asked, there, portion)
    return GroupBuyOutcome(
        joins, pledged, "formed", sum(map(bool, shares)), there, sum(share < asked for share in shares)
    )


def _shares(joins: int, asked: int, there: int, portion: int) -> list[int]:
    """Return each join's share: a portion for each as far as the goods last, then the rest in order of joining."""
    shares = [0] * joins
    for most in (portion, asked):
        for n in range(joins):
            more = min(most - shares[n], there)
            shares[n] += more
            there -= more
    return shares


def _add(total: Counter[str], lines: tuple[Line, ...]) -> None:
    for line in lines:
        total[line.item] += line.quantity
