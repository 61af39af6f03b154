"""`halfday plan`: runs the stateless planner on a file."""

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
    """Plan a routing problem: assign orders to couriers and trips with times, and list unserved orders with reasons.

    The file has a problem in the format of `POST /v1/plan`. Exit code 0 for a valid plan, even if it leaves out orders.

    Example: halfday plan morning.json --picture plan.svg --seconds 10

    Parameters
    ----------
    file
        JSON file with the problem.
    picture
        Also draw the plan in this file (SVG).
    seconds
        Longest search.
    seed
        Seed of the search; other seeds may find other plans.
    threads
        Search processes.
    late
        Id of an order that arrives after the plan is made: prints its courier and extra cost, then the saving of a
        search of 0.1 s around it. May be repeated.
    osrm
        Address of an OSRM server for travel times.
    valhalla
        Address of a Valhalla server for travel times.
    as_json
        Print the plan as one JSON object.
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
    print(PLAN.dump_json(made).decode() if as_json else "\n".join(lines_of(made)))
    return 0


def read(file: Path) -> RoutingProblem:
    """Return the problem in the file. Raises StackError with a line for each error in it."""
    from services.dispatch.planning import validation

    try:
        return validation.read(file.read_bytes())
    except OSError as wrong:
        raise StackError(f"{file} can't be read: {wrong.strerror}") from wrong
    except validation.InvalidProblem as wrong:
        raise StackError(f"{file} is not a valid problem:\n{wrong}") from wrong


def measured(problem: RoutingProblem, osrm: str | None, valhalla: str | None) -> RoutingProblem:
    """Return the problem with travel times of the named routing server, else unchanged. Raises StackError."""
    if not osrm and not valhalla:
        return problem
    import httpx2

    from services.dispatch.planning.travel import engines

    with httpx2.Client(base_url=osrm or valhalla or "", timeout=30) as client:
        try:
            return engines.Roads(engines.Osrm(client) if osrm else engines.Valhalla(client)).measured(problem)
        except engines.RoadsError as wrong:
            raise StackError(f"{wrong}\nOmit the server to plan with estimated travel times.") from wrong


def _coming(problem: RoutingProblem, late: Sequence[str]) -> list[Order]:
    orders = {order.id: order for order in problem.orders}
    if unknown := [id for id in late if id not in orders]:
        raise StackError(f"unknown order {', '.join(unknown)}: --late names orders of the file")
    return [orders[id] for id in late]


async def _taken_up(problem: RoutingProblem, made: Plan, late: Sequence[Order], threads: int) -> Plan:
    """Return the plan with the late orders; each is printed on stderr as it is added."""
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
                words = f"{diff.cost_fen / 100:+.2f} yuan, {diff.moved} orders moved to other trips"
                print(f"{order.id}: improved: {words}", file=sys.stderr)
    return engine.plan()


def draw(problem: RoutingProblem, made: Plan, file: Path) -> None:
    """Write the picture to a new file with mode 0600. Raises StackError if that is not possible."""
    from deploy.cli import plan_picture as picture

    try:
        # The picture shows people's addresses.
        with open(file, "w", encoding="utf-8", opener=partial(os.open, mode=0o600)) as drawn:
            drawn.write(picture.svg(problem, made))
    except OSError as wrong:
        raise StackError(f"{file} can't be written: {wrong.strerror}") from wrong
    print(f"wrote {file}", file=sys.stderr)


def lines_of(made: Plan) -> Iterator[str]:
    """Return the plan as lines of text."""
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
