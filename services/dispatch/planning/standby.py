"""A solver that stands by, for searches of a tenth of a second: no process is started and nothing loaded for them."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from pydantic import ValidationError

from services.dispatch.planning import checker
from services.dispatch.planning.insertion import Part
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.solver import JOB, PLAN, Job

SOLVER = (sys.executable, "-m", "services.dispatch.planning.solver")
_LONGEST_LINE = 2**26
_LATE = 1.5  # times the budget: a solver that takes longer is not coming back


class Standby:
    """One process at nice 10, ended with the context, which it enters loaded; begun again when it has died or is
    late."""

    def __init__(self, solver: Sequence[str] = SOLVER) -> None:
        self._solver = solver
        self._child: asyncio.subprocess.Process | None = None
        self._loading: asyncio.Future[bytes]
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Standby:
        await self._start()
        await self._loading
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def better(self, part: Part, budget_s: float = 0.1, seed: int = 0) -> Plan | None:
        """A plan of the part that keeps every rule, searched from its plan on; None if there is none in time, as while
        a process that was begun again still loads.
        """
        async with self._turn:
            await asyncio.wait([self._loading], timeout=budget_s)
            if not self._loading.done():
                return None
            job, text = Job(part.problem, budget_s, time.monotonic(), seed, warm=part.plan), b""
            try:
                text = await asyncio.wait_for(self._asked(JOB.dump_json(job)), _LATE * budget_s)
                found = PLAN.validate_json(text)
            except (TimeoutError, OSError, ValidationError):
                return None
            finally:
                if not text:  # its answer would be taken for the next one's
                    await self._stop()
                    await self._start()
        return None if checker.faults(part.problem, found) else found

    async def _asked(self, job: bytes) -> bytes:
        child = self._child
        if child is None or child.stdin is None or child.stdout is None:
            raise OSError("the solver is not there")
        child.stdin.write(job + b"\n")
        await child.stdin.drain()
        return await child.stdout.readline()

    async def _start(self) -> None:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*self._solver, stdin=pipe, stdout=pipe, limit=_LONGEST_LINE)
        assert child.stdout is not None
        self._child, self._loading = child, asyncio.ensure_future(child.stdout.readline())

    async def _stop(self) -> None:
        if self._child is not None:
            self._loading.cancel()
            with suppress(ProcessLookupError):
                self._child.kill()
            await self._child.wait()
            self._child = None
