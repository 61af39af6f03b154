"""State of a day computed from the records of the public topics alone, without requests to services."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

STATES = {
    "order-placed": "placed", "order-held": "held", "order-reserved": "reserved", "order-scheduled": "scheduled",
    "order-ready": "ready", "order-loaded": "loaded", "order-delivered": "delivered", "order-collected": "collected",
    "order-returned": "returned", "order-rejected": "rejected", "order-expired": "expired", "order-reopened": "placed",
    "order-cancelled": "cancelled", "order-failed": "failed",
}  # fmt: skip
GOODS_OUT = {"delivered", "collected"}
Sold = tuple[str, list[dict[str, Any]]]
"""The pool and the lines of a sale."""


@dataclass(slots=True)
class ObservedOrder:
    """An order by its events. `placed` and `answered`: real times of the records; answered by held or reserved."""

    state: str
    market_day: str
    lines: list[dict[str, Any]]
    placed: datetime
    campaign: str | None = None
    answered: datetime | None = None


@dataclass(slots=True)
class ObservedGroupBuy:
    """A group-buy by its events: quantity by join, the verdict, and the money back of each short join.

    Joins that were withdrawn before the cut are in neither.
    """

    market_day: str
    item: str
    verdict: str = "open"
    joins: dict[str, int] = field(default_factory=dict)
    back_fen: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class ObservedWave:
    """A wave by its events; `planned` is the data of its plan."""

    market_day: str
    slot_until: datetime
    jobs: int = 0
    planned: dict[str, Any] = field(default_factory=dict)
    handed_over: int = 0
    in_time: int = 0
    returned: int = 0
    state: str = "open"


@dataclass(slots=True)
class Observed:
    """Everything computed so far. `events` counts records by topic, `twice` records with an event id that was seen
    before.
    """

    events: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    parked: int = 0
    twice: int = 0
    orders: dict[str, ObservedOrder] = field(default_factory=dict)
    group_buys: dict[str, ObservedGroupBuy] = field(default_factory=dict)
    waves: dict[str, ObservedWave] = field(default_factory=dict)
    sales: dict[str, Sold] = field(default_factory=dict)
    job_wave: dict[str, str] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)

    def take(self, topic: str, headers: Mapping[str, str], value: bytes | None, written: datetime) -> None:
        """Process one record of a topic, written at `written`. A repeated event only counts as a record."""
        self.events[topic] += 1
        if topic.endswith(".dlq.v1"):
            self.parked += 1
            return
        id = headers.get("ce_id", "")
        if id in self._ids:
            self.twice += 1
            return
        self._ids.add(id)
        name = headers.get("ce_type", "").split(".")[2:3]
        if not value or not name:
            return
        self.types[name[0]] += 1
        fold = _FOLDS.get(topic)
        if fold:
            fold(self, name[0], orjson.loads(value), written)

    def ends(self, market_day: str) -> Counter[str]:
        """Return orders of a market day by the state of their last event."""
        return Counter(order.state for order in self._of(market_day))

    def sold(self, market_day: str) -> Counter[str]:
        """Return by good the quantity delivered, collected, or sold at a stall and not voided."""
        total = Counter[str]()
        orders = [order.lines for order in self._of(market_day) if order.state in GOODS_OUT]
        sales = [lines for pool, lines in self.sales.values() if pool.startswith(f"{market_day}@")]
        for lines in orders + sales:
            for line in lines:
                total[line["item"]] += line["quantity"]
        return +total

    def refused(self, market_day: str) -> Counter[str]:
        """Return rejected orders by their first good."""
        lost = (order for order in self._of(market_day) if order.state == "rejected")
        return Counter(order.lines[0]["item"] for order in lost)

    def waits(self, market_day: str) -> list[float]:
        """Return real seconds from placed to held or reserved, ascending."""
        return waits(self._of(market_day))

    def _of(self, market_day: str) -> list[ObservedOrder]:
        known = list(self.orders.values())  # a copy: another thread adds more meanwhile
        return [order for order in known if order.market_day == market_day]


def waits(orders: Iterable[ObservedOrder]) -> list[float]:
    """Return real seconds from placed to held or reserved of those that were, ascending."""
    return sorted((o.answered - o.placed).total_seconds() for o in orders if o.answered is not None)


def _order(observed: Observed, name: str, data: dict[str, Any], at: datetime) -> None:
    if name == "order-placed":
        observed.orders[data["order"]] = ObservedOrder(
            "placed", data["market_day"], data["lines"], at, data.get("campaign")
        )
    order = observed.orders.get(data["order"])
    if order is None:
        return
    order.state = STATES.get(name, order.state)
    if name in {"order-held", "order-reserved"} and order.answered is None:
        order.answered = at


def _campaign(observed: Observed, name: str, data: dict[str, Any], _at: datetime) -> None:
    if name == "campaign-opened":
        observed.group_buys[data["campaign"]] = ObservedGroupBuy(data["market_day"], data["goods"][0]["item"])
        return
    buy = observed.group_buys[data["campaign"]]
    if name == "join-accepted":
        buy.joins[data["join"]] = sum(line["quantity"] for line in data["lines"])
    elif name == "join-refunded" and buy.verdict == "open":
        del buy.joins[data["join"]]
    elif name == "join-refunded":
        buy.back_fen[data["join"]] = data["amount_fen"]
    elif name in {"campaign-formed", "campaign-failed"}:
        buy.verdict = name.removeprefix("campaign-")


def _stall(observed: Observed, name: str, data: dict[str, Any], _at: datetime) -> None:
    if name == "sale-recorded":
        observed.sales[data["sale"]] = (data["pool"], data["lines"])
    elif name == "sale-voided":
        observed.sales.pop(data["sale"], None)


def _job(observed: Observed, name: str, data: dict[str, Any], _at: datetime) -> None:
    if name == "job-planned":
        observed.job_wave[data["job"]] = data["wave"]
    wave = observed.waves.get(observed.job_wave.get(data["job"], ""))
    if wave is None:
        return
    if name == "job-delivered":
        wave.handed_over += 1
        wave.in_time += datetime.fromisoformat(data["delivered_at"]) <= wave.slot_until
    elif name == "job-returned":
        wave.returned += 1


def _wave(observed: Observed, name: str, data: dict[str, Any], _at: datetime) -> None:
    if name == "wave-opened":
        observed.waves[data["wave"]] = ObservedWave(data["market_day"], datetime.fromisoformat(data["slot_until"]))
    wave = observed.waves[data["wave"]]
    wave.state = name.removeprefix("wave-").replace("opened", "open")
    if name == "wave-cut":
        wave.jobs = data["jobs"]
    elif name == "wave-planned":
        wave.planned = data


_FOLDS = {
    "orders.order.v1": _order,
    "orders.campaign.v1": _campaign,
    "orders.stall.v1": _stall,
    "dispatch.job.v1": _job,
    "dispatch.wave.v1": _wave,
}
