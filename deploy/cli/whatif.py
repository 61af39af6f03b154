"""`halfday whatif`: a wave that is over, planned again under other conditions."""

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
    """Plan a wave of a finished day again, as it was and under other conditions, and set both side by side.

    Nothing is changed: it reads the wave from the running stack (`halfday up` on the day's folder). Both plans get the
    same seconds, so they differ by the conditions.

    Example: halfday whatif noon --data ./market --add 2 --wider 30

    Parameters
    ----------
    wave
        Which wave.
    data
        Folder of a running stack.
    add
        So many couriers more, like the first one.
    without
        Couriers who had stayed at home.
    capacity
        Vehicles with this percentage of their loads.
    wider
        Minutes that every slot ends later.
    later
        Minutes that the goods come to the station later.
    seconds
        How long to search, for each of the two plans.
    as_json
        Both plans' figures as one JSON object.
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
    """The problem under the other conditions. Raises StackError for a courier who isn't there."""
    unknown = set(without) - {courier.id for courier in was.couriers}
    if unknown or (add and not was.couriers):
        there = ", ".join(courier.id for courier in was.couriers) or "nobody"
        raise StackError(f"There is no courier {', '.join(sorted(unknown))} in that wave; there are: {there}")
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
        raise StackError(f"dispatch can't be asked: {wrong}. Is the stack up? See: ./halfday status") from wrong
    if answer.status_code != 200:
        raise StackError(f"Wave {wave} can't be read: {answer.json().get('detail', answer.status_code)}")
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
