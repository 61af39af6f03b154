"""Results of the runs: one line for each, and means by family with their bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import mean, median

import orjson

from tests.bench.routing.literature import Instance, faults
from tests.bench.routing.solvers import Answer

BARS = {
    ("multi-trip", 2.0): 3.5, ("multi-trip", 10.0): 1.6, ("multi-trip", 30.0): 1.0,
    ("vrptw 400", 10.0): 0.9, ("vrptw 600", 10.0): 1.6, ("vrptw 1000", 10.0): 2.5,
}  # fmt: skip
"""Mean gap in percent, on two cores. VRPTW of 200 stops: no worse than the peer."""
NO_WORSE = {("vrptw 200", 10.0)}
WORST = 0.7
"""Percentage points that the worst multi-trip instance may be behind the peer."""


@dataclass(frozen=True, slots=True)
class Run:
    """One answer to one instance, checked independently of the solver."""

    solver: str
    instance: Instance
    seconds: float
    seed: int
    answer: Answer

    @property
    def feasible(self) -> bool:
        """True if it breaks no rule of the instance."""
        return not any(faults(self.instance, self.answer.routes))

    @property
    def cost(self) -> float:
        """The cost in the instance's published units."""
        return self.instance.cost(self.answer.routes)

    @property
    def gap(self) -> float:
        """Percent above the best known cost; infinite for an answer that breaks a rule, not a number where no cost
        is known."""
        gap = self.instance.gap_pct(self.cost)
        return float("inf") if not self.feasible else float("nan") if gap is None else gap

    def as_json(self) -> str:
        """Return one JSON object; clients count from 1, a 0 in a route is a reload."""
        gap = self.instance.gap_pct(self.cost)
        line = {
            "instance": self.instance.name,
            "solver": self.solver,
            "seconds": self.seconds,
            "seed": self.seed,
            "cost": self.cost,
            "best_known": self.instance.best_known,
            "gap_pct": None if gap is None else round(gap, 3),
            "feasible": self.feasible,
            "wall_s": round(self.answer.wall_s, 3),
            "routes": self.answer.routes,
        }
        return orjson.dumps(line).decode()


def completed(runs: Sequence[Run]) -> list[Run]:
    """Return the runs with a best known cost; where none is published, the cheapest of the runs."""
    cheapest: dict[str, float] = {}
    for run in runs:
        if run.feasible:
            cheapest[run.instance.name] = min(run.cost, cheapest.get(run.instance.name, run.cost))
    return [
        replace(run, instance=replace(run.instance, best_known=run.instance.best_known or cheapest[run.instance.name]))
        if run.feasible
        else run
        for run in runs
    ]


def family(instance: Instance) -> str:
    """Return the family of the instance, which selects its bar."""
    return "multi-trip" if instance.reloads else f"vrptw {len(instance.stops) - 1}"


@dataclass(frozen=True, slots=True)
class Score:
    """The score of a family and budget: mean over its instances of the median gap over the seeds, in percent."""

    family: str
    seconds: float
    instances: int
    ours: float
    peer: float | None
    worst: float | None  # points that ours is behind the peer, on the instance where that is most

    @property
    def bar(self) -> float | None:
        """The mean gap to reach; None where there is none."""
        key = self.family, self.seconds
        return self.peer if key in NO_WORSE else BARS.get(key)

    @property
    def held(self) -> bool:
        """True if the bars are held."""
        near = self.family != "multi-trip" or self.worst is None or self.worst <= WORST
        return self.ours < float("inf") and (self.bar is None or self.ours <= self.bar) and near


def scores(runs: Iterable[Run]) -> Iterator[Score]:
    """Yield the score of each family and budget."""
    gaps: dict[tuple[str, float], dict[str, dict[str, list[float]]]] = {}
    for run in runs:
        by_name = gaps.setdefault((family(run.instance), run.seconds), {}).setdefault(run.instance.name, {})
        by_name.setdefault(run.solver, []).append(run.gap)
    for (kind, seconds), names in gaps.items():
        ours = {name: median(of["ours"]) for name, of in names.items()}
        peer = {name: median(of["peer"]) for name, of in names.items() if "peer" in of}
        worst = max((ours[name] - peer[name] for name in peer), default=None)
        yield Score(kind, seconds, len(names), mean(ours.values()), mean(peer.values()) if peer else None, worst)
