"""`halfday plan`: the stateless planner on a file."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from deploy.local.errors import StackError

if TYPE_CHECKING:
    from services.dispatch.planning.plan import Plan
    from services.dispatch.planning.problem import Order, RoutingProblem


def plan(
    file: Path,
    *,
    picture: Path | None = None,
    seconds: float = 10.0,
    seed: int = 0,
    threads: int = 2,
    late: Annotated[Sequence[str], Parameter(negative="")] = (),
    osrm: str | None = None,
    valhalla: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Plan a routing problem: which courier takes which orders on which trips, when, and why not the rest.

    The file holds a problem as `POST /v1/plan` takes it. Exit code 0 when a plan that keeps every rule was made, also
    if it leaves orders out.

    Example: halfday plan morning.json --picture plan.svg --seconds 10

    Parameters
    ----------
    file
        The problem, JSON.
    picture
        Also draw the plan there (SVG).
    seconds
        How long to search at most.
    seed
        Another seed may find another plan.
    threads
        Processes to search with.
    late
        An order of the file that comes only when the plan stands: says at once who brings it and for how much more,
        then what a tenth of a second of searching around it saves. May be given several times.
    osrm
        Take ways from the OSRM server at this address.
    valhalla
        Take ways from the Valhalla server at this address.
    as_json
        The whole plan as one JSON object.
    """
    from services.dispatch.planning.process import planner
    from services.dispatch.planning.process.solver import PLAN
    from services.dispatch.planning.travel.matrix import narrowed

    problem = measured(read(file), osrm, valhalla)
    asyncio.run(planner.prepare())
    coming = _coming(problem, late)
    there = [order for order in problem.orders if order not in coming]
    known = narrowed(problem, there, problem.couriers) if coming else problem
    made = asyncio.run(planner.plan(known, seconds, seed, threads))
    if coming:
        made = asyncio.run(_taken_up(problem, made, coming, threads))
    if picture:
        draw(problem, made, picture)
    print(PLAN.dump_json(made).decode() if as_json else "\n".join(told(made)))
    return 0


def read(file: Path) -> RoutingProblem:
    """The problem in the file; raises StackError with a line for each thing that is wrong."""
    from services.dispatch.planning import validation

    try:
        return validation.read(file.read_bytes())
    except OSError as wrong:
        raise StackError(f"{file} can't be read: {wrong.strerror}") from wrong
    except validation.Nonsense as wrong:
        raise StackError(f"{file} is no problem that can be planned:\n{wrong}") from wrong


def measured(problem: RoutingProblem, osrm: str | None, valhalla: str | None) -> RoutingProblem:
    """The problem with ways from the server that is named, else as it is. Raises StackError."""
    if not osrm and not valhalla:
        return problem
    import httpx2

    from services.dispatch.planning.travel import engines

    with httpx2.Client(base_url=osrm or valhalla or "", timeout=30) as client:
        try:
            return engines.Roads(engines.Osrm(client) if osrm else engines.Valhalla(client)).measured(problem)
        except engines.RoadsError as wrong:
            raise StackError(f"{wrong}\nLeave the server out to plan with estimated ways.") from wrong


def _coming(problem: RoutingProblem, late: Sequence[str]) -> list[Order]:
    orders = {order.id: order for order in problem.orders}
    if unknown := [id for id in late if id not in orders]:
        raise StackError(f"there is no order {', '.join(unknown)} in the file")
    return [orders[id] for id in late]


async def _taken_up(problem: RoutingProblem, made: Plan, late: Sequence[Order], threads: int) -> Plan:
    """The plan with the late orders, each told on stderr as it comes."""
    from deploy.cli.warm_solver import WarmSolver
    from services.dispatch.planning.construct.insertion import Engine, Offer

    engine = Engine(problem, made)
    async with WarmSolver(processes=threads) as solver:
        for order in late:
            found = engine.insert(order)
            if not isinstance(found, Offer):
                print(f"{order.id}: no: {found.reason}", file=sys.stderr)
                continue
            print(f"{order.id}: {found}, {found.cost_fen / 100:+.2f} yuan", file=sys.stderr)
            diff = await solver.improve(engine, order.id)
            if diff:
                words = f"{diff.cost_fen / 100:+.2f} yuan, {diff.moved} orders change their trip"
                print(f"{order.id}: made better: {words}", file=sys.stderr)
    return engine.plan()


def draw(problem: RoutingProblem, made: Plan, file: Path) -> None:
    """Writes the picture, a new file with mode 0600; raises StackError where that can't be."""
    from deploy.cli import plan_picture as picture

    try:
        # It shows where people live.
        with open(file, "w", encoding="utf-8", opener=partial(os.open, mode=0o600)) as drawn:
            drawn.write(picture.svg(problem, made))
    except OSError as wrong:
        raise StackError(f"{file} can't be written: {wrong.strerror}") from wrong
    print(f"The picture is in {file}", file=sys.stderr)


def told(made: Plan) -> Iterator[str]:
    """The plan in lines for people."""
    from services.dispatch.planning.construct.reasons import clock

    km, yuan = made.metres / 1000, made.cost_fen / 100
    yield f"{made.stops} stops, {len(made.unserved)} not served, {km:.1f} km, {yuan:.2f} yuan, by {made.planner}"
    for route in made.routes:
        yield f"courier {route.courier}"
        for n, trip in enumerate(route.trips, 1):
            stops = ", ".join(f"{stop.order} {clock(stop.eta_s)}" for stop in trip.stops)
            yield f"  trip {n}, {clock(trip.start_s)} to {clock(trip.end_s)}: {stops}"
        for rest in route.breaks:
            yield f"  break, {clock(rest.start_s)} to {clock(rest.end_s)}"
    for gone in made.unserved:
        yield f"not served: {gone.order}: {gone.reason}" + (f" (would help: {gone.mend})" if gone.mend else "")
