"""Loaded solver processes for searches of a tenth of a second: no process start and no loading for each of them."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf
from types import TracebackType
from typing import NoReturn

from services.dispatch.planning import checker
from services.dispatch.planning.construct.insertion import Engine, Part
from services.dispatch.planning.diff import Diff
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.process.solver import JOB, PLAN, SolveJob
from services.dispatch.planning.schedule import assemble

SOLVER = (sys.executable, "-m", "services.dispatch.planning.process.solver")
TAKE_S = 0.015
"""Seconds for checking a better part and putting it in its place."""
LOST_S = 2.0
"""Seconds after which a solver without an answer is restarted."""
_LONGEST_LINE = 2**26


class WarmSolver:
    """A context of solver processes at nice 10, entered when they are loaded, which ends them. One that has died
    or does not answer is restarted."""

    def __init__(self, solver: Sequence[str] = SOLVER, processes: int = 1) -> None:
        self._children = [_Child(solver) for _ in range(processes)]
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> WarmSolver:
        await asyncio.gather(*(child.start() for child in self._children))
        await asyncio.gather(*(child.ready for child in self._children))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(child.stop() for child in self._children))

    async def better(
        self, part: Part, budget_s: float = 0.1, seed: int = 0, iterations: int | None = None
    ) -> Plan | None:
        """Return the best valid plan of the part that the processes find, starting from its plan with different seeds.

        None if there is none in time, for example while a process loads or works on an earlier job. With `iterations`
        and enough time for them, equal calls give equal plans.
        """
        job = SolveJob(
            part.problem, budget_s, time.monotonic(), warm=part.plan, focus=part.order, iterations=iterations
        )
        async with self._turn:
            seeds = range(seed * len(self._children), (seed + 1) * len(self._children))
            asked = zip(self._children, seeds, strict=True)
            answers = await asyncio.gather(*(child.plan(replace(job, seed=own)) for child, own in asked))
        plans = [plan for plan in answers if plan]
        best = min(plans, key=lambda plan: assemble.sort_key(part.problem, plan), default=None)
        return None if best is None or checker.faults(part.problem, best) else best

    async def improve(
        self, engine: Engine, order: str, budget_s: float = 0.1, iterations: int | None = None
    ) -> Diff | None:
        """Search around an order just inserted by the engine, and replace the part by a better one within the budget.

        None if there is nothing better or the plan has changed meanwhile.
        """
        began = time.monotonic()
        part = engine.part_around(order)
        found = await self.better(part, budget_s - TAKE_S - (time.monotonic() - began), iterations=iterations)
        return engine.replace_part(part, found) if found else None


class _Child:
    """One process. It writes a line when it is ready for a job: when it has loaded, then with each answer."""

    def __init__(self, solver: Sequence[str]) -> None:
        self.solver = solver
        self.ready: asyncio.Future[bytes]
        self._process: asyncio.subprocess.Process
        self._restart_at = inf

    async def plan(self, job: SolveJob) -> Plan | None:
        """Return its answer within the job's budget, else None. A later answer is read and discarded."""
        until = job.began_s + job.budget_s
        try:
            if not await self._line(until):
                return None
            await self._ask(job)
            line = await self._line(until)
            return PLAN.validate_json(line) if line else None
        except (OSError, ValueError):  # it has died, or its answer is invalid
            await self._restart()
            return None

    async def _ask(self, job: SolveJob) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(JOB.dump_json(job) + b"\n")
        await self._process.stdin.drain()
        self._listen(LOST_S)

    async def _line(self, until: float) -> bytes | None:
        await asyncio.wait([self.ready], timeout=max(0.0, until - time.monotonic()))
        if self.ready.done():
            return self.ready.result() or _raise_dead()
        if time.monotonic() > self._restart_at:
            await self._restart()
        return None

    def _listen(self, patience_s: float = inf) -> None:
        assert self._process.stdout is not None
        self.ready = asyncio.ensure_future(self._process.stdout.readline())
        self._restart_at = time.monotonic() + patience_s

    async def start(self) -> None:
        """Start the process; `ready` is done when it has loaded."""
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*self.solver, stdin=pipe, stdout=pipe, limit=_LONGEST_LINE)
        self._listen()

    async def stop(self) -> None:
        """Kill the process."""
        self.ready.cancel()
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _restart(self) -> None:
        await self.stop()
        await self.start()


def _raise_dead() -> NoReturn:
    raise OSError("the solver has ended")
