"""Solvers that stand by, for searches of a tenth of a second: no process is started and nothing loaded for them."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType

from pydantic import ValidationError

from services.dispatch.planning import assemble, checker
from services.dispatch.planning.diff import Diff
from services.dispatch.planning.insertion import Engine, Part
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.solver import JOB, PLAN, Job

SOLVER = (sys.executable, "-m", "services.dispatch.planning.solver")
TAKE_S = 0.005
"""What it takes to put a better part in its place."""
_LONGEST_LINE = 2**26
_LATE = 1.5  # times the budget: a solver that takes longer is not coming back


class Standby:
    """Processes at nice 10, ended with the context, which it enters loaded; one that has died or is late is begun
    again."""

    def __init__(self, solver: Sequence[str] = SOLVER, processes: int = 1) -> None:
        self._children = [_Child(solver) for _ in range(processes)]
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Standby:
        await asyncio.gather(*(child.start() for child in self._children))
        await asyncio.gather(*(child.loading for child in self._children))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(child.stop() for child in self._children))

    async def better(self, part: Part, budget_s: float = 0.1, seed: int = 0) -> Plan | None:
        """The best plan of the part that keeps every rule, searched from its plan on by each process with a seed of
        its own; None if there is none in time, as while a process that was begun again still loads.
        """
        job = Job(part.problem, budget_s, time.monotonic(), warm=part.plan, focus=part.order)
        async with self._turn:
            seeds = range(seed * len(self._children), (seed + 1) * len(self._children))
            asked = zip(self._children, seeds, strict=True)
            answers = await asyncio.gather(*(child.plan(replace(job, seed=own)) for child, own in asked))
        plans = [plan for plan in answers if plan]
        best = min(plans, key=lambda plan: assemble.worth(part.problem, plan), default=None)
        return None if best is None or checker.faults(part.problem, best) else best

    async def improve(self, engine: Engine, order: str, budget_s: float = 0.1) -> Diff | None:
        """Searches around an order that the engine has just taken up, and has it take what is better: all in that
        time. None where there is nothing better, or the plan has moved on meanwhile."""
        began = time.monotonic()
        part = engine.around(order)
        found = await self.better(part, budget_s - TAKE_S - (time.monotonic() - began))
        return engine.take(part, found) if found else None


class _Child:
    """One process."""

    def __init__(self, solver: Sequence[str]) -> None:
        self.solver = solver
        self._process: asyncio.subprocess.Process | None = None
        self.loading: asyncio.Future[bytes]

    async def plan(self, job: Job) -> Plan | None:
        """What it answers; None if it doesn't in time or it is no plan, and then it is begun again."""
        await asyncio.wait([self.loading], timeout=job.budget_s)
        if not self.loading.done():
            return None
        text = b""
        try:
            text = await asyncio.wait_for(self._asked(JOB.dump_json(job)), _LATE * job.budget_s)
            return PLAN.validate_json(text)
        except (TimeoutError, OSError, ValidationError):
            return None
        finally:
            if not text:  # its answer would be taken for the next one's
                await self.stop()
                await self.start()

    async def _asked(self, job: bytes) -> bytes:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise OSError("the solver is not there")
        process.stdin.write(job + b"\n")
        await process.stdin.drain()
        return await process.stdout.readline()

    async def start(self) -> None:
        """Starts the process, which is `loading` until it has written a line."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self.solver, stdin=pipe, stdout=pipe, limit=_LONGEST_LINE)
        assert process.stdout is not None
        self._process, self.loading = process, asyncio.ensure_future(process.stdout.readline())

    async def stop(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self.loading.cancel()
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None
