"""A client that writes down what it does, and sends the same request again until it knows what came of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.faults.history import History, Operation, Outcome, digest

RETRY_S, ANSWER_S = 60.0, 10.0
RETRYABLE = {429, 503}


@dataclass(frozen=True, slots=True)
class Request:
    """A request: who asks which service for what."""

    role: str
    service: str
    method: str
    path: str
    body: Any = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Status 0: no answer came within our patience, so nobody knows."""

    status: int
    body: Any = None

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return 200 <= self.status < 300


Verdict = tuple[Outcome, Mapping[str, Any]]
Judge = Callable[[Sequence[Operation], Answer], list[Verdict]]
"""From deeds and the answer to their request: how each ended, and what to remember of the answer."""


def judge_all(operations: Sequence[Operation], answer: Answer) -> list[Verdict]:
    """A request that does all of its deeds or none."""
    if not answer.status:
        return [(Outcome.UNKNOWN, {"why": str(answer.body)[:300]})] * len(operations)
    if answer.ok:
        return [(Outcome.OK, {"hash": digest(answer.body)})] * len(operations)
    return [(Outcome.FAIL, {"why": str(answer.body)[:300]})] * len(operations)


class Client:
    """All clients of a run together. `in_flight`: requests that were begun and not answered yet, tries included.

    `answers` counts by status, 0 being a connection that died or a time-out; `broken` are answers that no service
    may give.
    """

    def __init__(self, endpoints: Mapping[str, Any], history: History) -> None:
        limits = httpx2.Limits(max_connections=200, max_keepalive_connections=100, keepalive_expiry=5)
        self._http = {
            service: httpx2.AsyncClient(base_url=url, timeout=ANSWER_S, limits=limits, trust_env=False)
            for service, url in endpoints["http"].items()
        }
        self._tokens = endpoints["tokens"]
        self._history = history
        self.in_flight = 0
        self.answers = Counter[int]()
        self.broken: list[str] = []

    async def close(self) -> None:
        """Ends all connections."""
        for client in self._http.values():
            await client.aclose()

    async def get(self, role: str, service: str, path: str, **query: Any) -> Any:
        """The JSON of a page; None when it doesn't come within our patience or does not exist."""
        wanted = {name: value for name, value in query.items() if value is not None}
        answer = await self.send(Request(role, service, "GET", f"{path}?{httpx2.QueryParams(wanted)}"))
        return answer.body if answer.ok else None

    async def send(
        self,
        request: Request,
        operations: Sequence[Operation] = (),
        judge: Judge = judge_all,
        *,
        retry_s: float = RETRY_S,
    ) -> Answer:
        """The answer to the request, sent again unchanged while none comes, for `retry_s` seconds (0: once)."""
        began, attempt = time.monotonic(), 0
        self.in_flight += 1
        try:
            while True:
                attempt += 1
                for operation in operations:
                    self._history.invoke(operation, attempt, request.body)
                answer = await self._try(request)
                unknown = self._note(operations, attempt, judge(operations, answer)) or not answer.status
                if not unknown or time.monotonic() - began >= retry_s:
                    return answer
                await asyncio.sleep(min(0.1 * attempt, 1.0))
        finally:
            self.in_flight -= 1

    async def _try(self, request: Request) -> Answer:
        headers = {"Authorization": f"Bearer {self._tokens[request.role]}"}
        if request.key:
            headers["Idempotency-Key"] = request.key
        try:
            status, content = await self._exchange(request, headers)
        except (httpx2.TransportError, OSError, EOFError) as error:
            self.answers[0] += 1
            return Answer(0, repr(error))
        self.answers[status] += 1
        text = content[:300].decode(errors="replace")
        if status >= 500 and status not in RETRYABLE:
            self.broken.append(f"{request.method} {request.path}: {status} {text}")
        if status in RETRYABLE or status >= 500:
            return Answer(0, f"{status} {text}")
        return Answer(status, json.loads(content) if content else None)

    async def _exchange(self, request: Request, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and content of the answer. Raises what a connection that died or is slow raises."""
        answer = await self._http[request.service].request(
            request.method, request.path, json=request.body, headers=headers
        )
        return answer.status_code, answer.content

    def _note(self, operations: Sequence[Operation], attempt: int, verdicts: Sequence[Verdict]) -> bool:
        """Whether anything is unknown."""
        write = {Outcome.OK: self._history.ok, Outcome.FAIL: self._history.fail, Outcome.UNKNOWN: self._history.unknown}
        for operation, (outcome, remembered) in zip(operations, verdicts, strict=True):
            write[outcome](operation, attempt, remembered)
        return any(outcome is Outcome.UNKNOWN for outcome, _ in verdicts)
