"""The score of a measurement: our figure beside a peer's, the bar, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from statistics import median
from typing import Any


class Rule(Enum):
    """The reading of a bar."""

    RATIO_AT_LEAST = "≥"
    RATIO_AT_MOST = "≤"
    OURS_AT_MOST = "ours ≤"
    REPORTED = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the results. `ours` and `peer` are medians over `runs` alternating runs; `spread` is (max - min) /
    median of ours. A run that lost, duplicated or oversold anything makes ours (or the peer's) 0 and the bar not held.
    """

    metric: str
    workload: str
    unit: str
    ours: float
    peer: float
    peer_name: str
    ratio: float
    bar: float | None
    held: bool
    runs: int
    spread: float
    rule: Rule

    def document(self) -> dict[str, Any]:
        """Return the line as JSON values."""
        return {name: value for name, value in asdict(self).items() if name != "rule"}


def line(
    metric: str,
    workload: str,
    unit: str,
    ours: Sequence[float],
    peer: Sequence[float],
    peer_name: str,
    rule: Rule,
    bar: float | None,
    violations: Sequence[str] = (),
) -> Line:
    """Return the line of the runs. `violations` of ours, found by the reconciliation, make its score 0."""
    mine, theirs = (0.0 if violations else median(ours)), median(peer)
    ratio = mine / theirs if theirs else 0.0
    measured = mine if rule is Rule.OURS_AT_MOST else ratio
    good = bar is None or (measured >= bar if rule is Rule.RATIO_AT_LEAST else measured <= bar)
    spread = (max(ours) - min(ours)) / median(ours) if median(ours) else 0.0
    figures = (_round(mine), _round(theirs), peer_name, _round(ratio))
    return Line(metric, workload, unit, *figures, bar, good and not violations, len(ours), _round(spread), rule)


def _round(value: float) -> float:
    return round(value, 0 if value >= 1000 else 1 if value >= 100 else 3)
