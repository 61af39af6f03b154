"""The client port of the fault tests: records every operation, and repeats a request until its outcome is known."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from deploy.audit.invariants.facts import Outcome
from deploy.scenarios.actors.client import BUSY, Answer, Client, HttpClient, Request
from tests.faults.history import History
from tests.faults.operations import Operations

RETRY_S, PERSISTENT_S, ANSWER_S = 60.0, 600.0, 10.0
"""Seconds: for how long a buyer repeats a request, an actor that reports facts, and how long an answer may take."""
CONNECTIONS = 200


class HistoryClient:
    """All clients of a run together.

    A request is repeated unchanged for `retry_s` seconds (0: sent once) until each of its operations has an outcome.

    - `in_flight`: requests without a final answer, retries included.
    - `answers`: count by status; 0 is a dead connection or a time-out.
    - `broken`: answers that no service may give.
    """

    def __init__(self, inner: Client, history: History) -> None:
        self._inner = inner
        self._history = history
        self._operations = Operations()
        self.in_flight = 0
        self.answers = Counter[int]()
        self.broken: list[str] = []

    @property
    def persistent(self) -> Client:
        """This client for actors that report facts and never give up."""
        return self.patient(PERSISTENT_S)

    def patient(self, retry_s: float) -> Client:
        """Return this client with another time for repeats."""
        return _Patient(self, retry_s)

    async def get(self, request: Request) -> Any:
        """Return a page's JSON; None if it does not exist or does not arrive in time."""
        answer = await self.send(request)
        return answer.body if answer.ok else None

    async def send(self, request: Request, retry_s: float = RETRY_S) -> Answer:
        """Return the last answer to the request."""
        began, attempt = time.monotonic(), 0
        operations, judge = self._operations.of(request)
        write: dict[Outcome, Callable[..., None]] = {
            Outcome.OK: self._history.ok, Outcome.FAIL: self._history.fail, Outcome.UNKNOWN: self._history.unknown
        }  # fmt: skip
        self.in_flight += 1
        try:
            while True:
                attempt += 1
                for operation in operations:
                    self._history.invoke(operation, attempt, request.body)
                answer = await self._try(request)
                verdicts = judge(operations, answer)
                for operation, (outcome, remembered) in zip(operations, verdicts, strict=True):
                    write[outcome](operation, attempt, remembered)
                unknown = not answer.status or any(outcome is Outcome.UNKNOWN for outcome, _ in verdicts)
                if not unknown or time.monotonic() - began >= retry_s:
                    return answer
                await asyncio.sleep(min(0.1 * attempt, 1.0))
        finally:
            self.in_flight -= 1

    async def _try(self, request: Request) -> Answer:
        answer = await self._inner.send(request)
        self.answers[answer.status] += 1
        known = f"{answer.status} {str(answer.body)[:300]}"
        if answer.status >= 500 and answer.status not in BUSY:
            self.broken.append(f"{request.title}: {known}")
        return Answer(0, known) if answer.status in BUSY or answer.status >= 500 else answer


class _Patient:
    def __init__(self, client: HistoryClient, retry_s: float) -> None:
        self._client, self._retry_s = client, retry_s

    async def send(self, request: Request) -> Answer:
        return await self._client.send(request, self._retry_s)


def http_client(endpoints: Any) -> HttpClient:
    """Return a client of the stack with these endpoints, which sends each request once."""
    return HttpClient(endpoints["http"], endpoints["tokens"], connections=CONNECTIONS, timeout_s=ANSWER_S)
