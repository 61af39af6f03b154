"""The solver process: killed, late, cancelled or broken, a plan is there in time and no process is left."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from services.dispatch.planning import checker
from services.dispatch.planning.construct import greedy
from services.dispatch.planning.process import planner, solver
from services.dispatch.planning.search import compile
from tests.unit.planning_given import town

SMALL = town(30, 4)
BIG = town(1000, 46)
SLEEPER = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
PARENT = (
    "import subprocess, sys, time; "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    "open(sys.argv[1], 'w').write(str(child.pid)); time.sleep(60)"
)


def script(code: str, *args: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *args)


async def pid_in(file: Path) -> int:
    async with asyncio.timeout(60):
        while not (file.exists() and file.read_text()):
            await asyncio.sleep(0.01)
    return int(file.read_text())


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_a_plan_comes_from_the_solvers_process_and_keeps_every_rule():
    plan = await planner.plan(SMALL, 20, seed=3, iterations=20)
    assert checker.faults(SMALL, plan) == []
    assert plan.stops + len(plan.unserved) == 30


async def test_bounded_by_iterations_the_same_seed_gives_the_same_bytes():
    first, second = [await planner.plan(SMALL, 30, seed=7, iterations=20) for _ in range(2)]
    assert solver.PLAN.dump_json(first) == solver.PLAN.dump_json(second)


async def test_where_compiled_code_can_not_be_kept_it_is_said_and_pyvrp_searches(monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/dev/null/cache")
    told = subprocess.run(planner.COMPILER, check=False, capture_output=True, text=True)
    assert told.returncode == 1
    assert "PyVRP searches instead" in told.stderr
    plan = await planner.plan(SMALL, 3.0)
    assert checker.faults(SMALL, plan) == []
    assert plan.cost_fen <= greedy.solve(SMALL).cost_fen


def test_the_compiler_is_nice_only_where_nobody_waits_for_it(monkeypatch, capsys):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/dev/null/cache")
    asked: list[int] = []
    monkeypatch.setattr(os, "nice", asked.append)
    for words in ([], ["19"]):
        monkeypatch.setattr(sys, "argv", ["compiled", *words])
        assert compile.main() == 1
    assert asked == [0, 19]


async def test_a_solver_killed_in_the_middle_costs_a_fifth_of_a_second(tmp_path: Path):
    file = tmp_path / "pid"
    planning = asyncio.create_task(planner.plan(BIG, 30, solver=script(SLEEPER, str(file))))
    os.kill(await pid_in(file), 9)
    began = time.process_time()
    plan = await planning
    assert time.process_time() - began < 1  # 0.2 s where the machine has nothing else to do
    assert plan.planner == "greedy"
    assert checker.faults(BIG, plan) == []


@pytest.mark.parametrize("size", [SMALL, BIG], ids=["30 orders", "1000 orders"])
async def test_a_late_solver_is_cut_off_at_the_budget(size):
    began = time.monotonic()
    plan = await planner.plan(size, 2.0, start_s=0.0, solver=script("import time; time.sleep(60)"))
    assert time.monotonic() - began < 10  # 2.1 where the machine has nothing else to do
    assert plan == greedy.solve(size)


async def test_what_the_solver_has_started_ends_with_it(tmp_path: Path):
    file = tmp_path / "pid"
    planning = asyncio.create_task(planner.plan(SMALL, 1.0, start_s=2.0, solver=script(PARENT, str(file))))
    grandchild = await pid_in(file)
    await planning
    async with asyncio.timeout(60):
        while not gone(grandchild):
            await asyncio.sleep(0.01)
    assert gone(grandchild)


async def test_a_cancelled_plan_ends_its_solver(tmp_path: Path):
    file = tmp_path / "pid"
    planning = asyncio.create_task(planner.plan(SMALL, 60, solver=script(SLEEPER, str(file))))
    child = await pid_in(file)
    planning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await planning
    assert gone(child)


async def test_the_event_loop_goes_on_meanwhile():
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await planner.plan(BIG, 1.0, start_s=0.0, solver=script("import time; time.sleep(60)"))
    ticking.cancel()
    assert ticks > 20


def test_the_solver_is_nice_and_services_load_neither_numpy_nor_pyvrp():
    heavy = ("numpy", "numba", "pyvrp", "httpx2")
    code = f"import sys, services.dispatch.app; print([m for m in {heavy} if m in sys.modules])"
    loaded = os.popen(f'{sys.executable} -c "{code}"').read()
    assert loaded.strip() == "[]"
    assert solver.NICE == 10


def test_the_greedy_plan_of_far_too_many_orders_keeps_every_rule_also_of_couriers_who_end_elsewhere():
    crowd = town(1000, 20)
    began = time.process_time()
    plan = greedy.solve(crowd)
    assert time.process_time() - began < 1  # some 0.2 s where the machine has nothing else to do
    assert checker.faults(crowd, plan) == []
    assert len(plan.unserved) > 100
