"""What a day must come to, whatever the timing: computed from the plan alone, to be held against what happened."""

from __future__ import annotations

from collections import Counter

from deploy.scenarios.day import Day, Expected, Fate, Line, Order

ENDS = {
    Fate.CANCELS: "cancelled",
    Fate.NEVER_PAYS: "expired",
    Fate.PAYS_TOO_LATE: "cancelled",
    Fate.NOT_FETCHED: "returned",
    Fate.REFUSES: "returned",
}


def end_of(order: Order) -> str:
    """The state that an order ends in if its goods can be had."""
    return ENDS.get(order.fate, "delivered" if order.way == "delivery" else "collected")


def expected(day: Day) -> Expected:
    """Orders by end state, quantities sold and customers refused by good."""
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
        granted = min(wanted.orders, wanted.for_orders)
        ends["delivered" if wanted.fulfilment == "delivery" else "collected"] += granted
        ends["rejected"] += wanted.orders - granted
        at_stalls = len(wanted.terminals) * min(wanted.lent_each, wanted.wanted_each)
        sold[wanted.item] += (granted + at_stalls) * day.scenario.good(wanted.item).usual[0]
        refused[wanted.item] += wanted.orders - granted
        refused[wanted.item] += len(wanted.terminals) * wanted.wanted_each - at_stalls
    return Expected(ends, +sold, +refused)


def _add(total: Counter[str], lines: tuple[Line, ...]) -> None:
    for line in lines:
        total[line.item] += line.quantity
