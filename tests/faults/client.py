"""An HTTP client that records its operations and repeats a request until its outcome is known."""

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
    """A request: the caller's role, the service, and the HTTP message."""

    role: str
    service: str
    method: str
    path: str
    body: Any = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. Status 0: no answer arrived in time, so the outcome is unknown."""

    status: int
    body: Any = None

    @property
    def ok(self) -> bool:
        """True for a 2xx status."""
        return 200 <= self.status < 300


Verdict = tuple[Outcome, Mapping[str, Any]]
Judge = Callable[[Sequence[Operation], Answer], list[Verdict]]
"""Maps operations and the answer to their request to outcomes, each with the facts to record."""


def judge_all(operations: Sequence[Operation], answer: Answer) -> list[Verdict]:
    """Judge a request that does all of its operations or none."""
    if not answer.status:
        return [(Outcome.UNKNOWN, {"why": str(answer.body)[:300]})] * len(operations)
    if answer.ok:
        return [(Outcome.OK, {"hash": digest(answer.body)})] * len(operations)
    return [(Outcome.FAIL, {"why": str(answer.body)[:300]})] * len(operations)


class Client:
    """All clients of a run together.

    - - `in_flight`: requests without a final answer, retries included.
    - `answers`: count by status; 0 is a dead connection or a time-out.
    - `broken`: answers that no service may give.
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
        """Close all connections."""
        for client in self._http.values():
            await client.aclose()

    async def get(self, role: str, service: str, path: str, **query: Any) -> Any:
        """Return a page's JSON; None if it does not exist or does not arrive in time."""
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
        """Return the answer to the request, which is repeated unchanged for `retry_s` seconds (0: sent once)."""
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
        """Return the answer's status and content. Raises the transport's errors."""
        answer = await self._http[request.service].request(
            request.method, request.path, json=request.body, headers=headers
        )
        return answer.status_code, answer.content

    def _note(self, operations: Sequence[Operation], attempt: int, verdicts: Sequence[Verdict]) -> bool:
        """Record the outcomes; return True if any is unknown."""
        write = {Outcome.OK: self._history.ok, Outcome.FAIL: self._history.fail, Outcome.UNKNOWN: self._history.unknown}
        for operation, (outcome, remembered) in zip(operations, verdicts, strict=True):
            write[outcome](operation, attempt, remembered)
        return any(outcome is Outcome.UNKNOWN for outcome, _ in verdicts)
