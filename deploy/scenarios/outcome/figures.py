"""The figures of a day, and their comparison with the expected outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from deploy.scenarios.drivers.tally import Tally
from deploy.scenarios.outcome.observed import Observed, ObservedGroupBuy, waits
from deploy.scenarios.schedule import Day, ExpectedOutcome, GroupBuy, GroupBuyOutcome


@dataclass(frozen=True, slots=True)
class GoodFigures:
    """One good: quantity sold in its unit, and the orders or stall customers that got nothing."""

    item: str
    name: str
    unit: str
    scarce: bool
    sold: int
    refused: int


@dataclass(frozen=True, slots=True)
class WaveFigures:
    """One wave: `km` as planned; `in_time` of `delivered` were handed over before their slot ended."""

    wave: str
    state: str
    jobs: int
    routes: int
    km: float
    delivered: int
    in_time: int
    returned: int

    @property
    def share(self) -> float:
        """Percentage of deliveries in time; 100 without deliveries."""
        return 100.0 * self.in_time / self.delivered if self.delivered else 100.0


@dataclass(frozen=True, slots=True)
class GroupBuyFigures:
    """One group-buy: `joins` at its cut, `served` became orders of `sold` in all, `refunded` got less than they
    pledged; `back_fen` is the money that they got back.
    """

    group_buy: str
    item: str
    joins: int
    pledged: int
    verdict: str
    served: int
    sold: int
    refunded: int
    back_fen: int

    @property
    def outcome(self) -> GroupBuyOutcome:
        """The part of it that is comparable with the schedule."""
        return GroupBuyOutcome(self.joins, self.pledged, self.verdict, self.served, self.sold, self.refunded)


@dataclass(frozen=True, slots=True)
class BurstFigures:
    """One livestream: its orders were accepted within `taken_s` real seconds. `reserved_ms`: as in `Figures`."""

    burst: str
    orders: int
    rejected: int
    taken_s: float
    reserved_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class Figures:
    """A day in numbers. `reserved_ms`: real milliseconds from placed to held or reserved. `events`: by topic.

    `played_s`: real seconds from the first minute to the last; `waited_s`: those during which the business clock
    waited, by reason.
    """

    market_day: str
    seed: int
    ends: dict[str, int]
    goods: list[GoodFigures]
    waves: list[WaveFigures]
    reserved_ms: dict[str, float]
    events: dict[str, int]
    parked: int
    absorbed: dict[str, int]
    group_buys: list[GroupBuyFigures] = field(default_factory=list)
    bursts: list[BurstFigures] = field(default_factory=list)
    played_s: float = 0.0
    waited_s: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return asdict(self)


def figures(day: Day, observed: Observed, tally: Tally) -> Figures:
    """Return the figures from the observer's records and the actors' own counts."""
    sold, refused = observed.sold(day.market_day), observed.refused(day.market_day) + tally.sent_away
    goods = [
        GoodFigures(good.id, good.name_zh, good.unit, good.scarce, sold[good.id], refused[good.id])
        for good in day.scenario.goods
    ]
    waves = [
        WaveFigures(
            id,
            wave.state,
            wave.jobs,
            wave.planned.get("routes", 0),
            round(wave.planned.get("metres", 0) / 1000, 1),
            wave.handed_over,
            wave.in_time,
            wave.returned,
        )
        for id, wave in sorted(observed.waves.items(), key=lambda found: found[1].slot_until)
        if wave.market_day == day.market_day
    ]
    absorbed = {**tally.absorbed, "records seen twice": observed.twice}
    events = {topic: count for topic, count in sorted(observed.events.items()) if count}
    ends = dict(observed.ends(day.market_day).most_common())
    return Figures(
        day.market_day,
        day.seed,
        ends,
        goods,
        waves,
        _shares(observed.waits(day.market_day)),
        events,
        observed.parked,
        absorbed,
        [_group_buy(buy, observed) for buy in day.group_buys],
        [_burst(day, burst.id, observed) for burst in day.scenario.bursts],
        round(tally.played_s, 1),
        {what: round(seconds, 1) for what, seconds in _longest_first(tally.waited_s) if seconds >= 0.05},
    )


def _longest_first(waited_s: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(waited_s.items(), key=lambda waited: -waited[1])


def _group_buy(buy: GroupBuy, observed: Observed) -> GroupBuyFigures:
    id = str(buy.id)
    found = observed.group_buys.get(id, ObservedGroupBuy("", buy.line.item, "not opened"))
    orders = [order for order in observed.orders.values() if order.campaign == id]
    return GroupBuyFigures(
        buy.terms.id,
        found.item,
        len(found.joins),
        sum(found.joins.values()),
        found.verdict,
        len(orders),
        sum(line["quantity"] for order in orders for line in order.lines),
        len(found.back_fen),
        sum(found.back_fen.values()),
    )


def _burst(day: Day, burst: str, observed: Observed) -> BurstFigures:
    ids = (str(order.id) for order in day.orders if order.burst == burst)
    orders = [observed.orders[id] for id in ids if id in observed.orders]
    placed = [order.placed for order in orders]
    taken_s = (max(placed) - min(placed)).total_seconds() if placed else 0.0
    rejected = sum(order.state == "rejected" for order in orders)
    return BurstFigures(burst, len(orders), rejected, round(taken_s, 2), _shares(waits(orders)))


def _shares(ascending: list[float]) -> dict[str, float]:
    """Return median and 99th percentile of waits in seconds, in milliseconds."""
    places = {"p50": len(ascending) // 2, "p99": len(ascending) * 99 // 100}
    return {name: round(1000 * ascending[n], 1) if ascending else 0.0 for name, n in places.items()}


def differences(found: Figures, plan: ExpectedOutcome, by_service: Counter[str]) -> list[str]:
    """Return as text how the day differs from its expected outcome, and topics from the orders service."""
    lines = _differ("orders", found.ends, plan.ends)
    lines += _differ("sold", {good.item: good.sold for good in found.goods}, plan.sold)
    lines += _differ("refused", {good.item: good.refused for good in found.goods}, plan.refused)
    lines += [
        f"group-buy {buy.group_buy}: {name} is {value}, planned {planned}"
        for buy in found.group_buys
        for (name, value), planned in zip(
            asdict(buy.outcome).items(), asdict(plan.group_buys[buy.group_buy]).values(), strict=True
        )
        if value != planned
    ]
    if Counter(found.ends) != by_service:
        lines.append(f"the topics say {dict(found.ends)}, the orders service says {dict(by_service)}")
    return lines


def _differ(what: str, found: dict[str, int], planned: Counter[str]) -> list[str]:
    names = sorted({*found, *planned})
    return [
        f"{what}: {name} is {found.get(name, 0)}, planned {planned[name]}"
        for name in names
        if found.get(name, 0) != planned[name]
    ]
