"""The client port in virtual time: requests to the API processes of the simulated services."""

from __future__ import annotations

from typing import Any

from deploy.scenarios.actors.client import Answer, Request
from services.kit.database import is_transient
from services.kit.http.problems import Problem
from tests.simulation.invariant import InvariantBroken
from tests.simulation.ports import Future
from tests.simulation.processes import Work, World
from tests.simulation.routes import API_PROCESSES, bind
from tests.simulation.scheduler import pause

MOST_TRIES = 300


class InProcess:
    """Sends a request until its answer arrives; the outcome is never unknown. An answer may be lost, so that a request
    which had its effect is sent again.
    """

    def __init__(self, world: World) -> None:
        self.world = world

    async def send(self, request: Request) -> Answer:
        """Return the answer to a request, with the JSON that a client reads."""
        world = self.world
        work = bind(request, world.rng.randint(1, API_PROCESSES))
        answer = await self.run(request.service, _title(request), work)
        if isinstance(answer, Problem):
            return Answer(answer.status, {"code": answer.code, "detail": answer.detail})
        return answer  # type: ignore[no-any-return]

    async def run(self, service: str, what: str, work: Work) -> Any:
        """Run work in a service's API until it ends; return its result, or the `Problem` that refuses it."""
        world = self.world
        for tries in range(MOST_TRIES):
            if tries:
                await pause(world.rng.uniform(0.1, min(20, 0.5 * 2 ** (tries - 1))))
            ended, result, error = await self._try(service, what, work)
            refused = isinstance(error, Problem) and error.status != 503
            if error and not (isinstance(error, Problem) or is_transient(error)):
                raise InvariantBroken(
                    "no request fails by itself", f"{what}: {type(error).__name__}: {error}"
                ) from error
            if not ended or (error and not refused) or world.rng.random() < world.faults.lost_answer:
                continue
            world.note("client", "%s: %s", what, f"{error.status} {error.detail}" if refused else "done")
            return error if refused else result
        raise InvariantBroken("every request is answered", f"{what} was sent {MOST_TRIES} times without an answer")

    async def _try(self, service: str, what: str, work: Work) -> tuple[bool, Any, Any]:
        """Return whether the work ended, its result, and its error."""
        world, process = self.world, self.world.processes[f"{service}.api"]
        if not process.up or process.frozen > world.scheduler.now:
            return False, None, None
        outcome = Future(world.scheduler)
        process.run(
            work(process),
            what,
            lambda result, error: outcome.set_result((True, result, error)),
            lambda: outcome.set_result((False, None, None)),
        )
        return await outcome  # type: ignore[no-any-return]


def _title(request: Request) -> str:
    """Return the request's title, with the id of what it creates."""
    body = request.body if isinstance(request.body, dict) else {}
    return " ".join([request.title, *(str(id) for name, id in body.items() if name.endswith("_id"))])
