"""The services as a day's actors reach them: over HTTP, each request repeated until it is answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

import stamina
from stamina.instrumentation import set_on_retry_hooks

from deploy.scenarios.actors.client import BUSY, Answer, Client, Refused, Request

# Concurrent requests per role: many buyers must not delay a courier.
AT_ONCE = 32
TIMEOUT_S, PATIENCE_S = 60.0, 120.0


class Busy(Exception):
    """The service is busy or the outcome is unknown. Raised only if that lasts."""


class Api:
    """A client that repeats requests.

    A request without a response, or with 429 or 503, is repeated unchanged for up to two minutes, which is safe because
    every request has its own id or key; then `Busy` is raised. `counts` has requests and repeats. `holding` is entered
    with the request's title while it is in progress.
    """

    def __init__(
        self,
        client: Client,
        roles: Iterable[str],
        holding: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
    ) -> None:
        set_on_retry_hooks([])  # repeats are counted here, not logged
        self._client = client
        self._slots = {role: asyncio.Semaphore(AT_ONCE) for role in roles}
        self._holding = holding
        self.counts = Counter[str]()

    async def send(self, request: Request) -> Answer:
        """Return the answer to a request. Raises `Busy`."""
        self.counts["requests"] += 1
        tries = stamina.retry_context(Busy, attempts=None, timeout=PATIENCE_S, wait_initial=0.05, wait_max=1.0)
        with self._holding(request.title):
            async for attempt in tries:
                self.counts["repeats"] += attempt.num > 1
                with attempt:
                    async with self._slots[request.role]:
                        answer = await self._client.send(request)
                    if answer.status in BUSY:
                        raise Busy(str(Refused(request, answer)))
        return answer
