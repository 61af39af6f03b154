"""The greedy planner's promises, the checker's eyes, and the port that never leaves a wave without a plan."""

import random
import sys
import time
from dataclasses import replace
from typing import Any

import pytest

from services.dispatch.planning import checker
from services.dispatch.planning.construct import greedy
from services.dispatch.planning.plan import Plan, Route, Stop, Trip, Unserved
from services.dispatch.planning.problem import Courier, Order, Place, RoutingProblem, Window
from services.dispatch.planning.process import planner, solver
from services.dispatch.planning.process.planner import Choice
from services.dispatch.planning.schedule import assemble
from services.dispatch.planning.schedule.columns import Columns

HOUR = 3600
STATION = Place(28.226, 112.962)


def order(id: str, load_g: int = 5000, cold_ml: int = 0, lat: float = 28.24, until_s: int = 14 * HOUR) -> Order:
    return Order(id, Place(lat, 112.99), load_g, cold_ml, (Window(11 * HOUR, until_s),))


def courier(id: str = "van-1", capacity_g: int = 100_000, until_s: int = 16 * HOUR) -> Courier:
    return Courier(id, capacity_g, 20_000, 9 * HOUR, until_s)


def problem(orders: list[Order], couriers: list[Courier] | None = None) -> RoutingProblem:
    return RoutingProblem(STATION, tuple([courier()] if couriers is None else couriers), tuple(orders))


def test_a_wave_of_a_city_is_planned_in_well_under_two_seconds():
    r = random.Random(7)
    orders = [
        replace(order(f"o{n}", r.randint(500, 12_000)), place=Place(28.18 + r.random() / 8, 112.88 + r.random() / 7))
        for n in range(300)
    ]
    big = problem(orders, [courier(f"c{n}", 160_000) for n in range(12)])
    began = time.process_time()
    plan = greedy.solve(big)
    assert time.process_time() - began < 2
    assert checker.faults(big, plan) == []
    assert plan.stops == 300


def test_a_full_vehicle_comes_back_for_a_second_trip():
    found = greedy.solve(problem([order(f"o{n}", 60_000) for n in range(3)]))
    assert [len(trip.stops) for trip in found.routes[0].trips] == [1, 1, 1]
    assert found.routes[0].trips[1].start_s >= found.routes[0].trips[0].end_s


@pytest.mark.parametrize(
    ("orders", "couriers", "reason"),
    [
        ([order("o")], [], "no courier is on shift"),
        ([order("o", load_g=200_000)], [courier()], "courier van-1: carries 100000 g, it weighs 200000 g"),
        ([order("o", cold_ml=30_000)], [courier()], "courier van-1: has 20000 ml of cold box, it needs 30000 ml"),
        (
            [order("o", lat=31.0)],
            [courier()],
            "courier van-1: could arrive at 15:45 at the earliest, the window ends 14:00",
        ),
        (
            [order("a", 90_000), order("b", 90_000)],
            [courier(until_s=11 * HOUR + 1500)],
            "courier van-1: vehicle has no 90000 g left on any trip before 14:00",
        ),
    ],
)
def test_an_order_that_cannot_be_served_says_why(orders, couriers, reason):
    plan = greedy.solve(problem(orders, couriers))
    assert [left.reason for left in plan.unserved] == [reason]


TWO = problem([order("a"), order("b", lat=28.25)])
GOOD = greedy.solve(TWO)
TRIP = GOOD.routes[0].trips[0]


def with_trip(**changes: object) -> Plan:
    return replace(GOOD, routes=(replace(GOOD.routes[0], trips=(replace(TRIP, **changes),)),))


@pytest.mark.parametrize(
    ("made", "plan", "fault"),
    [
        (TWO, replace(GOOD, routes=()), "is neither planned nor unserved"),
        (TWO, replace(GOOD, unserved=(Unserved("a", "full"),)), "is planned 2 times"),
        (TWO, replace(GOOD, unserved=(Unserved("x", "full"),)), "not in the problem"),
        (problem([*TWO.orders, order("c")]), replace(GOOD, unserved=(Unserved("c", ""),)), "without a reason"),
        (TWO, replace(GOOD, routes=(Route("x", GOOD.routes[0].trips),)), "courier x is not in the problem"),
        (TWO, replace(GOOD, routes=(*GOOD.routes, Route("van-1", ()))), "has 2 routes"),
        (TWO, replace(GOOD, metres=GOOD.metres - 1), "the plan states"),
        (problem(list(TWO.orders), [courier(capacity_g=6000)]), GOOD, "carries more than 6000 g"),
        (problem([replace(o, cold_ml=15_000) for o in TWO.orders]), GOOD, "ml in the cold box"),
        (
            problem([replace(o, windows=(Window(11 * HOUR, 11 * HOUR - 9),)) for o in TWO.orders]),
            GOOD,
            "outside its window",
        ),
        (problem(list(TWO.orders), [courier(until_s=11 * HOUR)]), GOOD, "after the shift"),
        (TWO, with_trip(start_s=8 * HOUR), "starts before the shift allows"),
        (TWO, with_trip(start_s=TRIP.start_s + 600), "earlier than it can be reached"),
        (TWO, with_trip(end_s=TRIP.end_s - 60), "back earlier than the legs allow"),
        (TWO, with_trip(stops=()), "a trip without stops"),
        (TWO, with_trip(stops=tuple(Stop(s.order, TRIP.stops[0].eta_s) for s in TRIP.stops)), "earlier than it can"),
    ],
)
def test_the_checker_names_each_broken_rule(made: RoutingProblem, plan: Plan, fault: str):
    assert checker.faults(TWO, GOOD) == []
    assert any(fault in found for found in checker.faults(made, plan)), checker.faults(made, plan)


def test_trips_of_a_plan_are_in_sequence():
    overlapping = replace(GOOD, routes=(Route("van-1", (TRIP, Trip(TRIP.start_s, TRIP.end_s, TRIP.stops))),))
    assert any("before the last one is over" in fault for fault in checker.faults(TWO, overlapping))


async def test_the_solver_runs_in_a_process_of_its_own():
    assert await planner.plan(TWO, 5) == replace(GOOD, planner="halfday")


async def test_a_search_shorter_than_the_start_of_its_process_is_made():
    """The search has its tenth of a second, however long the process takes to start."""
    choice = await planner.choose(asked(TWO, 0.1))
    assert choice == Choice(replace(GOOD, planner="halfday"), "searched for 0.1 s")


def test_the_budget_runs_from_the_start_of_the_search_within_the_allowance():
    job = replace(asked(TWO, 2.0), began_s=100.0, start_s=5.0)
    assert solver.begun(job, 103.0).began_s == 103.0
    assert solver.begun(job, 109.0).began_s == 105.0


def asked(problem: RoutingProblem, budget_s: float, **more: Any) -> solver.SolveJob:
    return solver.SolveJob(problem, budget_s, time.monotonic(), **{"start_s": 60.0, **more})


def answering(plan: Plan) -> tuple[str, ...]:
    """A solver that always has the same answer."""
    return (sys.executable, "-c", f"print({solver.PLAN.dump_json(plan).decode()!r})")


APART = assemble.plan(Columns(TWO), {0: [[1], [2]]}, "searched")


async def test_a_dearer_plan_than_the_greedy_one_is_never_taken():
    assert not checker.faults(TWO, APART)
    choice = await planner.choose(asked(TWO, 0.1), answering(APART))
    assert choice.plan == GOOD
    assert f"{GOOD.cost_fen} against {APART.cost_fen} fen" in choice.why
    assert (
        await planner.choose(asked(TWO, 0.1), answering(replace(GOOD, planner="searched")))
    ).plan.planner == "searched"


async def test_a_warm_plan_is_taken_where_it_is_the_best_and_keeps_every_rule(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(greedy, "solve", lambda _problem: APART)
    warm = replace(GOOD, planner="warm")
    assert (await planner.choose(asked(TWO, 0.1, warm=warm), answering(APART))).plan == warm
    broken = replace(warm, routes=())
    assert (await planner.choose(asked(TWO, 0.1, warm=broken), answering(APART))).plan.planner == "searched"


@pytest.mark.parametrize(
    ("code", "start_s", "why"),
    [
        ("import sys; sys.exit(1)", 60.0, "the solver ended with code 1 and no plan"),
        ("import os; os.kill(os.getpid(), 9)", 60.0, "the solver ended with code -9 and no plan"),
        ("import time; time.sleep(60)", 0.1, "the solver did not answer within 0.2 s"),
        ("print('no plan')", 60.0, "the solver ended with code 0 and no plan"),
        (
            """print('{"routes": [], "unserved": [], "metres": 0, "planner": "forgetful"}')""",
            60.0,
            "the solver's plan breaks a rule: order a is neither planned nor unserved",
        ),
    ],
    ids=["fails", "is killed", "is late", "answers nonsense", "loses orders"],
)
async def test_a_greedy_plan_comes_whatever_becomes_of_the_solver(code: str, start_s: float, why: str):
    choice = await planner.choose(asked(TWO, 0.1, start_s=start_s), (sys.executable, "-c", code))
    assert choice == Choice(GOOD, why)
