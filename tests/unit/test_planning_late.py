"""Late orders: an offer at once, then an improvement around it as a diff, discarded if the plan has changed."""

import gc
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from deploy.cli.warm_solver import WarmSolver
from services.dispatch.planning import checker
from services.dispatch.planning.construct import greedy, insertion
from services.dispatch.planning.construct.insertion import Engine, Offer
from services.dispatch.planning.diff import Diff
from services.dispatch.planning.plan import Plan, Rest
from services.dispatch.planning.problem import Break, RoutingProblem
from services.dispatch.planning.process.solver import PLAN
from services.dispatch.planning.replanning import moves, replan
from services.dispatch.planning.schedule import assemble
from tests.stack import eventually
from tests.unit.planning_given import HOUR, courier, order, problem, town

GIVEN = problem([order(f"o{n}", 28.24 + n / 500) for n in range(8)], [courier("a"), courier("b")])
GOOD = greedy.solve(GIVEN)
CLUMSY = moves.move(GIVEN, GOOD, ["o7", "o3"], "b", 1).plan
ANSWERS_GREEDILY = (sys.executable, "-m", "services.dispatch.planning.process.solver")


def test_a_part_is_a_problem_and_a_plan_of_its_own():
    given = town(200, 12)
    plan = greedy.solve(given)
    engine = Engine(given, plan)
    late = order("late")
    offer = engine.offer(late)
    assert isinstance(offer, Offer)
    engine.accept(offer)
    part = engine.part_around("late", 40)
    assert offer.courier in {one.id for one in part.problem.couriers}
    assert len(part.problem.couriers) < 12
    assert "late" in {one.id for one in part.problem.orders}
    assert checker.faults(part.problem, part.plan) == []
    whole = replace(given, orders=(*given.orders, late))
    assert checker.faults(whole, engine.plan()) == []


@pytest.mark.parametrize("collecting", [True, False])
def test_garbage_is_not_looked_for_while_an_order_is_offered(collecting: bool, monkeypatch: pytest.MonkeyPatch):
    seen: list[bool] = []

    def failing(engine: Engine, x: int) -> None:
        seen.append(gc.isenabled())
        raise RuntimeError

    monkeypatch.setattr(Engine, "_best", failing)
    engine = Engine(GIVEN, GOOD)
    was = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        with pytest.raises(RuntimeError):
            engine.offer(order("late"))
        seen.append(gc.isenabled())
    finally:
        (gc.enable if was else gc.disable)()
    assert seen == [False, collecting]


def test_a_better_part_is_taken_and_told_as_a_diff():
    engine = Engine(GIVEN, CLUMSY)
    part = engine.part_around("o3")
    assert part.plan.cost_fen == CLUMSY.cost_fen
    diff = engine.replace_part(part, replace(GOOD, planner="better"))
    assert diff is not None
    assert diff.cost_fen == GOOD.cost_fen - CLUMSY.cost_fen < 0
    assert {change.order for change in diff.changes} >= {"o3", "o7"}
    assert engine.plan().routes == GOOD.routes


def test_what_is_not_better_or_comes_too_late_changes_nothing():
    engine = Engine(GIVEN, GOOD)
    part = engine.part_around("o3")
    assert engine.replace_part(part, CLUMSY) is None
    assert engine.replace_part(part, GOOD) is None
    clumsy = Engine(GIVEN, CLUMSY)
    part = clumsy.part_around("o3")
    offer = clumsy.offer(order("late", 28.25))
    assert isinstance(offer, Offer)
    clumsy.accept(offer)
    before = clumsy.plan()
    assert clumsy.replace_part(part, GOOD) is None
    assert clumsy.plan() == before


async def test_a_solver_stands_by_and_answers_many_times():
    engine = Engine(GIVEN, CLUMSY)
    part = engine.part_around("o3")
    async with WarmSolver(processes=2) as solver:

        async def answer() -> Plan | None:
            found = await solver.better(part, 0.5)
            assert found is None or assemble.sort_key(part.problem, found) <= assemble.sort_key(part.problem, part.plan)
            return found

        async def improvement() -> Diff | None:
            # On a slow machine half a second may end before the search has left the plan that it was given.
            found = await answer()
            return engine.replace_part(part, found) if found is not None else None

        for _ in range(3):
            await eventually(answer, 30)
        assert (await eventually(improvement, 30)).changes


@pytest.mark.parametrize(
    "code", ["import time; print(flush=True); time.sleep(60)", "pass", "print('nonsense')"], ids=["late", "dead", "mad"]
)
async def test_a_solver_that_does_not_answer_is_begun_again(code: str):
    part = Engine(GIVEN, CLUMSY).part_around("o3")
    async with WarmSolver((sys.executable, "-c", code)) as solver:
        assert await solver.better(part, 0.3) is None
        (child,) = solver._children
        child.solver = ANSWERS_GREEDILY
        assert await solver.better(part, 0.3) is None  # the old one again, and its end
        found: Plan | None = await eventually(lambda: solver.better(part, 0.3), 30)
        assert found is not None


async def test_an_answer_that_comes_after_the_budget_is_passed_over():
    part, answer = Engine(GIVEN, CLUMSY).part_around("o3"), PLAN.dump_json(GOOD).decode()
    code = f"import sys, time; print(flush=True); [(time.sleep(2), print({answer!r}, flush=True)) for _ in sys.stdin]"
    async with WarmSolver((sys.executable, "-c", code)) as solver:
        began = time.monotonic()
        assert await solver.better(part, 0.2) is None
        assert time.monotonic() - began < 1.8, "it waited for the answer"
        found: Plan | None = await eventually(lambda: solver.better(part, 5.0), 30)
        assert found is not None
        assert solver._children[0]._process.returncode is None, "it was begun again"


def test_an_order_that_no_courier_may_serve_changes_no_part():
    engine = Engine(GIVEN, GOOD)
    assert not isinstance(engine.offer(order("x", skills=("stairs",))), insertion.Offer)
    assert engine.plan().routes == GOOD.routes


def test_halfday_plan_tells_late_orders_at_once_who_brings_them(tmp_path: Path):
    late = [order("late", 28.245), order("odd", skills=("stairs",))]
    file = tmp_path / "day.json"
    file.write_bytes(TypeAdapter(RoutingProblem).dump_json(replace(GIVEN, orders=(*GIVEN.orders, *late))))
    command = [sys.executable, "-m", "deploy.cli", "plan", str(file), "--seconds", "0.5", "--json"]
    done = subprocess.run([*command, "--late", "late", "--late", "odd"], capture_output=True, text=True, check=True)
    plan = TypeAdapter(Plan).validate_json(done.stdout)
    assert "late: yes: courier " in done.stderr
    assert "odd: no: every courier: lacks stairs" in done.stderr
    assert plan.stops == len(GIVEN.orders) + 1
    assert [gone.order for gone in plan.unserved] == ["odd"]
    unknown = subprocess.run([*command, "--late", "nobody"], capture_output=True, text=True, check=False)
    assert unknown.returncode != 0
    assert "nobody" in unknown.stderr


def test_a_trip_that_takes_longer_puts_off_every_break_behind_it():
    """The second break, of no length, has its planned time after the delayed return; it still follows the first."""
    rests = (Break(9 * HOUR, 16 * HOUR, 1), Break(9 * HOUR, 16 * HOUR, 0))
    town = problem([order()], [courier(breaks=rests)])
    plan = greedy.solve(town)
    ((trip,),) = ([*route.trips] for route in plan.routes)
    back = trip.end_s
    behind = (Rest(back, back + 1), Rest(back + 1, back + 1))
    delayed = replace(plan, routes=(replace(plan.routes[0], breaks=behind),))
    stop = trip.stops[0]
    future = replan.future(town, delayed, replan.Progress(back + 1, {stop.order: stop.eta_s + 1}))
    assert [route.breaks for route in future.begun] == [()]
    after = replan.merged(town, future.begun, future.warm)
    assert not [fault for fault in checker.faults(town, after, {stop.order}) if "another break" in fault]
