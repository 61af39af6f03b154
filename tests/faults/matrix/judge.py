"""Turns the result of a workload into a row of the report: each invariant held, or was broken by named findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from deploy.audit.finding import Finding
from tests.faults.matrix.injection import Injection
from tests.faults.matrix.workload import ENDED_WITHIN_S, WorkloadResult

INVARIANTS = {
    "I1": "an accepted order is never lost",
    "I2": "nothing is oversold",
    "I3": "no reservation, dispatch, delivery or payout happens twice",
    "I4": "money is exact, per order and in total",
    "I5": "every order ends within the bound after the fault",
    "I6": "effects of one subject happen in the order of their numbers",
    "I7": "each offline sale counts once",
    "I8": "no effect without an accepted cause",
    "I10": "nothing is dropped silently: produced = processed + dead-lettered",
}
"""I9, tenants, is left out: an installation has one operator."""

_BREAKS = {
    "lost order": "I1", "lost join": "I1", "views differ": "I1", "other content": "I1", "answers differ": "I1",
    "broken answer": "I1", "altered repeat accepted": "I1", "lost delivery": "I1", "lost handover": "I1",
    "promise": "I2", "oversold": "I2", "not sold out": "I2", "movements differ": "I2", "reservation": "I2",
    "reservations left": "I2", "campaign": "I2",
    "ended twice": "I3", "orders and jobs differ": "I3",
    "duplicate refund": "I4", "missing refund": "I4", "kept order refunded": "I4", "lost payment": "I4",
    "refund of nothing": "I4",
    "end": "I5", "not ended": "I5", "caught up late": "I5", "fault failed": "I5",
    "content": "I6", "seq": "I6",
    "duplicate sale": "I7", "duplicate void": "I7", "lost sale": "I7", "lost void": "I7",
    "duplicate sale-recorded": "I7", "duplicate sale-voided": "I7",
    "refused order exists": "I8", "unknown order": "I8", "unknown sale": "I8",
    "answer": "I10", "dead letter": "I10", "not dead-lettered": "I10",
}  # fmt: skip


def invariant(finding: Finding) -> str:
    """Return the invariant that a finding breaks; for duplicates I3 unless listed otherwise."""
    return _BREAKS.get(finding.check) or ("I3" if finding.check.startswith("duplicate") else "I10")


@dataclass
class Row:
    """One row of the report. Times are in seconds; `broken` lists findings by invariant."""

    fault: str
    what: str
    at: str
    seconds: float
    did: dict[str, int]
    orders: int
    operations: int
    unknown: int
    records: int
    twice: int
    absorbed: int
    caught_up_s: float
    bound_s: float
    ended_s: float
    broken: dict[str, list[str]]

    @property
    def ok(self) -> bool:
        """True if every invariant held in a conclusive run."""
        return not self.broken and self.conclusive

    @property
    def conclusive(self) -> bool:
        """True if the fault had an effect and orders were placed meanwhile."""
        return sum(self.did.values()) > 0 and self.orders > 0

    def as_json(self) -> dict[str, Any]:
        """Return the row as plain data."""
        return asdict(self)


def make_row(
    fault: str, what: str, bound_s: float, injection: Injection, seconds: float, outcome: WorkloadResult
) -> Row:
    """Build the row of a workload that has ended."""
    broken = defaultdict(list)
    found = [*outcome.findings]
    if outcome.caught_up_s > bound_s:
        found.append(Finding("caught up late", fault, f"{outcome.caught_up_s:.1f} s, more than {bound_s:.0f} s"))
    if outcome.ended_s > ENDED_WITHIN_S:
        found.append(Finding("not ended", fault, f"not everything had ended after {ENDED_WITHIN_S:.0f} s"))
    for finding in found:
        broken[invariant(finding)].append(str(finding))
    return Row(
        fault,
        what,
        datetime.now(UTC).isoformat(timespec="minutes"),
        round(seconds, 1),
        dict(injection.actions),
        len(injection.workload.buyers.accepted),
        len(outcome.evidence.entries) - len(injection.environment.entries),
        injection.workload.history.unknowns,
        outcome.records,
        outcome.twice,
        outcome.absorbed,
        round(outcome.caught_up_s, 1),
        bound_s,
        round(outcome.ended_s, 1),
        {name: lines[:10] for name, lines in sorted(broken.items())},
    )


def from_json(found: Mapping[str, Any]) -> Row:
    """Build a row from the output of `as_json`."""
    return Row(**found)
