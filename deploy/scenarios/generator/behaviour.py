"""Selects the orders that end differently: exact counts, so that the end states follow from the scenario."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from deploy.scenarios.model import Scenario, ScenarioError
from deploy.scenarios.schedule import Fate, Order

# Business minutes from a hold's end until the order shows its release, plus time to read it.
AFTER_HOLD = 20.0
# Shortest time that the market stays open for late payments, in minutes.
OPEN_STILL = 120.0
Change = Callable[[Order], Order]


def with_behaviour(scenario: Scenario, rng: Random, orders: list[Order]) -> list[Order]:
    """Return the orders with their fates. Raises ScenarioError if too few orders qualify for a behaviour."""
    picker = _Picker(rng, orders)
    counts, last = scenario.behaviour, scenario.orders.lists_at[-1]
    early = scenario.closes - OPEN_STILL - scenario.hold_ttl_s / 60
    delayed = [order for order in orders if order.way == "delivery" and _can_cancel(scenario, order)]
    doors = [order for order in orders if order.way == "delivery"]
    points = [order for order in orders if order.way == "pickup"]

    picker.take("pay_late", counts.pay_late, [o for o in points if o.at < early], _pays_late(scenario, rng))
    picker.take("pay_too_late", counts.pay_too_late, points, _pays_too_late(scenario, rng))
    picker.take("cancel_delivery", counts.cancel_delivery, delayed, _cancels(rng))
    picker.take("cancel_pickup", counts.cancel_pickup, [o for o in points if o.at <= last], _cancels(rng))
    picker.take("never_pay", counts.never_pay, doors, lambda o: replace(o, payment="pending", fate=Fate.NEVER_PAYS))
    picker.take("pay_in_time", counts.pay_in_time, doors, _pays(rng))
    picker.take("not_fetched", counts.not_fetched, points, lambda o: replace(o, fate=Fate.NOT_FETCHED))
    picker.take("missed_once", counts.missed_once, doors, lambda o: replace(o, fate=Fate.MISSED_ONCE))
    picker.take("refused_at_door", counts.refused_at_door, doors, lambda o: replace(o, fate=Fate.REFUSES))
    changed = picker.orders()
    changed = _flag(rng, changed, counts.sent_twice, lambda o: not o.in_list, lambda o: replace(o, twice=True))
    quotable = scenario.orders.with_quote
    return _flag(rng, changed, quotable, lambda o: o.channel == "app", lambda o: replace(o, asks_quote=True))


class _Picker:
    def __init__(self, rng: Random, orders: list[Order]) -> None:
        self._rng = rng
        self._by_id = {order.id: order for order in orders}
        self._free = set(self._by_id)

    def take(self, what: str, count: int, among: list[Order], change: Change) -> None:
        free = [order for order in among if order.id in self._free]
        if len(free) < count:
            raise ScenarioError(f"behaviour {what}: {count} orders wanted, only {len(free)} qualify")
        for order in self._rng.sample(free, count):
            self._free.discard(order.id)
            self._by_id[order.id] = change(order)

    def orders(self) -> list[Order]:
        return list(self._by_id.values())


def _flag(rng: Random, orders: list[Order], count: int, fits: Callable[[Order], bool], change: Change) -> list[Order]:
    fitting = [order.id for order in orders if fits(order)]
    chosen = set(rng.sample(fitting, min(count, len(fitting))))
    return [change(order) if order.id in chosen else order for order in orders]


def _cancel_minute(order: Order) -> float:
    # from the id, so that each call gives the same minute
    return order.at + 3 + order.id.int % 20


def _can_cancel(scenario: Scenario, order: Order) -> bool:
    """Return True if the cancel is well before a wave's routes are released, so that its answer depends on no race."""
    cancels = _cancel_minute(order)
    return all(cancels <= wave.cut - 10 or order.at >= wave.cutoff + 2 for wave in scenario.waves)


def _cancels(_rng: Random) -> Change:
    return lambda order: replace(order, fate=Fate.CANCELS, cancels_at=_cancel_minute(order), fetches_at=None)


def _pays(rng: Random) -> Change:
    return lambda order: replace(order, payment="pending", pays_at=order.at + rng.uniform(4, 40))


def _pays_late(scenario: Scenario, rng: Random) -> Change:
    def change(order: Order) -> Order:
        pays = order.at + scenario.hold_ttl_s / 60 + rng.uniform(AFTER_HOLD, OPEN_STILL / 2)
        fetches = max(order.fetches_at or 0.0, pays + 90)
        return replace(order, payment="pending", fate=Fate.PAYS_LATE, pays_at=pays, fetches_at=fetches)

    return change


def _pays_too_late(scenario: Scenario, rng: Random) -> Change:
    def change(order: Order) -> Order:
        pays = max(scenario.closes, order.at + scenario.hold_ttl_s / 60) + AFTER_HOLD + rng.uniform(0, 30)
        return replace(order, payment="pending", fate=Fate.PAYS_TOO_LATE, pays_at=pays)

    return change
