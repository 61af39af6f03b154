"""Manual moves: puts stops or a whole trip where the dispatcher wants them, with a check and a price."""

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
    """The result of a move: the plan, its difference with the cost, and every rule that it would break."""

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
    """Put `orders` into the courier's `trip` before the order `before`, or at the trip's end.

    `trip` counts from 1. With `new_trip` it is a new trip in that position; one past the last is always new. The orders
    keep the sequence in which the plan serves them, unserved ones are last. The plan given is not changed. Raises
    ValueError for an order, courier or trip that doesn't exist.
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
        raise ValueError(f"courier {courier} has {len(day)} trips: trip {trip} does not exist")
    if new_trip or trip > len(day):
        day.insert(trip - 1, [])
    target = day[trip - 1]
    for made in (made for trips in days.values() for made in trips if made is not target):
        made[:] = [n for n in made if n not in going]
    follower = columns.number.get(before or "")
    if before is not None and (follower not in target or follower in going):
        raise ValueError(f"order {before} is not in trip {trip} of courier {courier}")
    at = target.index(follower) if follower is not None else len(target)
    target[:] = [*(n for n in target[:at] if n not in going), *block, *(n for n in target[at:] if n not in going)]
    left = [gone for gone in plan.unserved if columns.number[gone.order] not in going]
    after = assemble.plan(columns, days, "by hand", left, strict=False)
    return Moved(after, difference(plan, after), tuple(checker.faults(problem, after)))
