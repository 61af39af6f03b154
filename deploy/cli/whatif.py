"""`halfday whatif`: plans a finished wave again under other conditions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import httpx2
from cyclopts import Parameter

from deploy.local import endpoints
from deploy.local.errors import StackError

if TYPE_CHECKING:
    from services.dispatch.planning.plan import Plan
    from services.dispatch.planning.problem import Courier, RoutingProblem

FIGURES = ("stops", "unserved", "couriers", "trips", "km", "yuan", "last stop")


def whatif(
    wave: str,
    /,
    *,
    data: Path = Path(".halfday"),
    add: int = 0,
    without: Annotated[Sequence[str], Parameter(negative="")] = (),
    capacity: int = 100,
    wider: int = 0,
    later: int = 0,
    seconds: float = 5.0,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Plan a wave of a finished day twice, as it was and under other conditions, and print both side by side.

    Read-only: the wave is read from the running stack (`halfday up` on the day's folder). Both plans get the same
    seconds, so they differ only by the conditions.

    Example: halfday whatif noon --data ./market --add 2 --wider 30

    Parameters
    ----------
    wave
        Id of the wave.
    data
        Folder of a running stack.
    add
        Number of extra couriers, like the first one.
    without
        Ids of couriers to leave out.
    capacity
        Capacity of the vehicles in percent of their own.
    wider
        Minutes by which every slot ends later.
    later
        Minutes by which the goods arrive later at the station.
    seconds
        Search time of each plan.
    as_json
        Print both plans' figures as one JSON object.
    """
    was = _problem(data, wave)
    then = changed(was, add, without, capacity, wider, later)
    before, after = (_figures(_plan(given, seconds)) for given in (was, then))
    if as_json:
        print(json.dumps({"wave": wave, "was": before, "then": after}))
        return 0
    print(f"{'':<12}{'as it was':>12}{'what if':>12}")
    for name in FIGURES:
        print(f"{name:<12}{before[name]!s:>12}{after[name]!s:>12}")
    return 0


def changed(
    was: RoutingProblem, add: int, without: Sequence[str], capacity: int, wider: int, later: int
) -> RoutingProblem:
    """Return the problem under the other conditions. Raises StackError for an unknown courier."""
    unknown = set(without) - {courier.id for courier in was.couriers}
    if unknown or (add and not was.couriers):
        there = ", ".join(courier.id for courier in was.couriers) or "none"
        raise StackError(f"unknown courier {', '.join(sorted(unknown))}, expected one of the wave's: {there}")
    crew = [courier for courier in was.couriers if courier.id not in without]
    crew += [replace(was.couriers[0], id=f"more-{n}") for n in range(1, add + 1)]
    dawn = min((courier.from_s for courier in was.couriers), default=0)
    orders = [
        replace(
            order,
            windows=tuple(replace(window, until_s=window.until_s + 60 * wider) for window in order.windows),
            release_s=max(order.release_s, dawn) + 60 * later if later else order.release_s,
        )
        for order in was.orders
    ]
    return replace(was, couriers=tuple(_sized(courier, capacity) for courier in crew), orders=tuple(orders))


def _problem(data: Path, wave: str) -> RoutingProblem:
    from services.dispatch.planning import validation

    found = endpoints.read(data.absolute())
    url, token = found["http"]["dispatch"], found["tokens"]["operator"]
    try:
        answer = httpx2.get(f"{url}/v1/waves/{wave}/problem", headers={"Authorization": f"Bearer {token}"}, timeout=30)
    except httpx2.HTTPError as wrong:
        raise StackError(f"dispatch does not answer: {wrong}. Is the stack running? See: ./halfday status") from wrong
    if answer.status_code != 200:
        raise StackError(f"wave {wave} can't be read: {answer.json().get('detail', answer.status_code)}")
    return validation.read(answer.content)


def _plan(problem: RoutingProblem, seconds: float) -> Plan:
    from services.dispatch.planning.process import planner

    return asyncio.run(planner.plan(problem, seconds))


def _figures(plan: Plan) -> dict[str, Any]:
    from services.dispatch.planning.construct.reasons import clock

    etas = [stop.eta_s for route in plan.routes for trip in route.trips for stop in trip.stops]
    return {
        "stops": plan.stops,
        "unserved": len(plan.unserved),
        "couriers": len(plan.routes),
        "trips": sum(len(route.trips) for route in plan.routes),
        "km": round(plan.metres / 1000, 1),
        "yuan": round(plan.cost_fen / 100, 2),
        "last stop": clock(max(etas)) if etas else "-",
    }


def _sized(courier: Courier, percent: int) -> Courier:
    return replace(courier, capacity_g=courier.capacity_g * percent // 100, cold_ml=courier.cold_ml * percent // 100)
