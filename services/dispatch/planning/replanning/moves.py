"""Moves by hand: one stop, several or a whole trip go where the dispatcher says, checked and priced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.dispatch.planning import checker
from services.dispatch.planning.diff import Diff, difference
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.schedule import assemble
from services.dispatch.planning.schedule.columns import Columns


@dataclass(frozen=True, slots=True)
class Moved:
    """What becomes of the plan, what changes and what it costs, and every rule that it would break."""

    plan: Plan
    diff: Diff
    breaches: tuple[str, ...]


def move(
    problem: RoutingProblem,
    plan: Plan,
    orders: Sequence[str],
    courier: str,
    trip: int,
    before: str | None = None,
    *,
    new_trip: bool = False,
) -> Moved:
    """Puts `orders` into the courier's `trip` (from 1; a `new_trip` in its place, or one past the last) ahead of the
    order `before`, or at the trip's end. They keep the order in which the plan serves them; unserved ones come last.

    The plan given is not changed. Raises ValueError for what doesn't exist.
    """
    columns = Columns(problem)
    days = assemble.days_of(columns, plan)
    missing = [id for id in orders if id not in columns.number]
    if missing or courier not in columns.courier:
        raise ValueError(f"not in the problem: {', '.join([*missing, *[courier] * (courier not in columns.courier)])}")
    going = {columns.number[id] for id in orders}
    served = [n for c in sorted(days) for made in days[c] for n in made]
    block = [n for n in served if n in going] + [
        columns.number[id] for id in orders if columns.number[id] not in served
    ]
    day = days.setdefault(columns.courier[courier], [])
    if not 1 <= trip <= len(day) + 1:
        raise ValueError(f"courier {courier} has {len(day)} trips, there is no trip {trip}")
    if new_trip or trip > len(day):
        day.insert(trip - 1, [])
    target = day[trip - 1]
    for made in (made for trips in days.values() for made in trips if made is not target):
        made[:] = [n for n in made if n not in going]
    follower = columns.number.get(before or "")
    if before is not None and (follower not in target or follower in going):
        raise ValueError(f"order {before} is not in that trip")
    at = target.index(follower) if follower is not None else len(target)
    target[:] = [*(n for n in target[:at] if n not in going), *block, *(n for n in target[at:] if n not in going)]
    left = [gone for gone in plan.unserved if columns.number[gone.order] not in going]
    after = assemble.plan(columns, days, "by hand", left, strict=False)
    return Moved(after, difference(plan, after), tuple(checker.faults(problem, after)))
