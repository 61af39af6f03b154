"""The figures of a played day, and whether they are what the plan says."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from deploy.scenarios.day import Day, Expected
from deploy.scenarios.drivers.tally import Tally
from deploy.scenarios.seen import Seen


@dataclass(frozen=True, slots=True)
class GoodFigures:
    """One good: quantity sold in its unit, and how many orders or stall customers got nothing of it."""

    item: str
    name: str
    unit: str
    scarce: bool
    sold: int
    refused: int


@dataclass(frozen=True, slots=True)
class WaveFigures:
    """One wave: `km` as planned, `in_time` of `delivered` were handed over before their slot ended."""

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
        """In time of delivered, in percent; 100 where nothing was to deliver."""
        return 100.0 * self.in_time / self.delivered if self.delivered else 100.0


@dataclass(frozen=True, slots=True)
class Figures:
    """A day in numbers. `reserved_ms`: real milliseconds from placed to held or reserved. `events`: by topic."""

    market_day: str
    seed: int
    ends: dict[str, int]
    goods: list[GoodFigures]
    waves: list[WaveFigures]
    reserved_ms: dict[str, float]
    events: dict[str, int]
    parked: int
    absorbed: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return asdict(self)


def figures(day: Day, seen: Seen, tally: Tally, speed: float) -> Figures:
    """What the observer saw and what the people counted themselves, as one set of figures."""
    sold, refused = seen.sold(day.market_day), seen.refused(day.market_day) + tally.sent_away
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
        for id, wave in sorted(seen.waves.items(), key=lambda found: found[1].slot_until)
        if wave.market_day == day.market_day
    ]
    waits = [1000 * wait / speed for wait in seen.waits(day.market_day)]
    absorbed = {**tally.absorbed, "records seen twice": seen.twice}
    events = {topic: count for topic, count in sorted(seen.events.items()) if count}
    ends = dict(seen.ends(day.market_day).most_common())
    shares = {f"p{share}": _share(waits, share) for share in (50, 99)}
    return Figures(day.market_day, day.seed, ends, goods, waves, shares, events, seen.parked, absorbed)


def _share(ascending: list[float], percent: int) -> float:
    if not ascending:
        return 0.0
    return round(ascending[min(len(ascending) - 1, len(ascending) * percent // 100)], 1)


def differences(found: Figures, plan: Expected, by_desk: Counter[str]) -> list[str]:
    """Where the day went otherwise than its plan, and where topics and the orders service disagree, in words."""
    lines = _differ("orders", found.ends, plan.ends)
    lines += _differ("sold", {good.item: good.sold for good in found.goods}, plan.sold)
    lines += _differ("refused", {good.item: good.refused for good in found.goods}, plan.refused)
    if Counter(found.ends) != by_desk:
        lines.append(f"the topics say {dict(found.ends)}, the orders service says {dict(by_desk)}")
    return lines


def _differ(what: str, found: dict[str, int], planned: Counter[str]) -> list[str]:
    names = sorted({*found, *planned})
    return [
        f"{what}: {name} is {found.get(name, 0)}, planned {planned[name]}"
        for name in names
        if found.get(name, 0) != planned[name]
    ]
