"""HTTP client of the services with a role's token; repeats unanswered requests."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, Self

import httpx2
import stamina
from stamina.instrumentation import set_on_retry_hooks

Role = Literal["operator", "terminal", "courier", "leader", "buyer"]
# Concurrent requests per role: many buyers must not delay a courier.
AT_ONCE = 32
PATIENCE_S = 120.0
TRY_AGAIN = {429, 503}


class Refused(Exception):
    """The service refused a request: status and the problem document's code and detail."""

    def __init__(self, request: str, status: int, code: str, detail: str) -> None:
        super().__init__(f"{request}: {status} {code}: {detail}")
        self.status, self.code = status, code


class Busy(Exception):
    """The service is busy or the outcome is unknown. Raised only if that lasts."""


class BrokenPromise(Exception):
    """A response that breaks a guarantee of the service; the text names it."""


class Api:
    """The HTTP side of a stack.

    A request without a response, or with 429 or 503, is repeated unchanged for up to two minutes, which is safe because
    every request has its own id or key; then the last error is raised. `counts` has requests and repeats. `holding` is
    entered with the request's name while it is in progress.
    """

    def __init__(
        self,
        http: Mapping[str, str],
        tokens: Mapping[str, str],
        transport: httpx2.AsyncBaseTransport | None = None,
        holding: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
    ) -> None:
        set_on_retry_hooks([])  # repeats are counted here, not logged
        most = AT_ONCE * len(tokens)
        limits = httpx2.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=3)
        self._clients = {
            service: httpx2.AsyncClient(base_url=url, timeout=60, limits=limits, trust_env=False, transport=transport)
            for service, url in http.items()
        }
        self._tokens = tokens
        self._slots = {role: asyncio.Semaphore(AT_ONCE) for role in tokens}
        self._holding = holding
        self.counts = Counter[str]()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def get(self, role: Role, service: str, path: str, **query: Any) -> Any:
        """Return the JSON of a GET."""
        return await self._send(role, service, "GET", path, params=query)

    async def put(self, role: Role, service: str, path: str, body: Any) -> Any:
        """Return the JSON response of a PUT."""
        return await self._send(role, service, "PUT", path, json=body)

    async def post(self, role: Role, service: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """Return the JSON response of a POST. `key` is the Idempotency-Key if the body has no id of its own."""
        headers = {"Idempotency-Key": key} if key else {}
        return await self._send(role, service, "POST", path, json=body, headers=headers)

    async def _send(self, role: Role, service: str, method: str, path: str, **parts: Any) -> Any:
        parts["headers"] = {"Authorization": f"Bearer {self._tokens[role]}", **parts.get("headers", {})}
        self.counts["requests"] += 1
        tries = stamina.retry_context(
            (Busy, httpx2.TransportError), attempts=None, timeout=PATIENCE_S, wait_initial=0.05, wait_max=1.0
        )
        request = f"{method} {service} {path}"
        with self._holding(request):
            async for attempt in tries:
                self.counts["repeats"] += attempt.num > 1
                with attempt:
                    async with self._slots[role]:
                        answer = await self._clients[service].request(method, path, **parts)
                    found = _judge(request, answer)
        return found


def _judge(request: str, answer: httpx2.Response) -> Any:
    if answer.is_success:
        return answer.json() if answer.content else None
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    code, detail = str(problem.get("code", "")), str(problem.get("detail", answer.text[:200]))
    errors = "; ".join(f"{error['pointer']}: {error['message']}" for error in problem.get("errors", []))
    refusal = Refused(request, answer.status_code, code, errors or detail)
    if answer.status_code in TRY_AGAIN:
        raise Busy(str(refusal)) from refusal
    raise refusal
