"""The port through which actors reach the services, and its implementation over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self
from urllib.parse import urlencode

import httpx2

Role = Literal["operator", "terminal", "courier", "leader", "buyer"]
BUSY = frozenset({0, 429, 503})
"""Statuses after which the same request is to be sent again."""
PAGE = 500


@dataclass(frozen=True, slots=True)
class Request:
    """A request: the caller's role, the service, and the HTTP message. `key` is its Idempotency-Key, where the body has
    no id of its own; `token` the caller's own access token, in place of the local token of its role, and `prove` makes
    a proof that the caller has the token's key, for a method and an address.
    """

    role: Role
    service: str
    method: str
    path: str
    body: Any = None
    key: str | None = None
    token: str | None = field(default=None, repr=False)
    prove: Callable[[str, str], str] | None = field(default=None, repr=False, compare=False)

    @property
    def title(self) -> str:
        """The request in a line of text, without its query."""
        return f"{self.method} {self.service} {self.path.partition('?')[0]}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with its JSON. Status 0: no answer arrived, so the outcome is unknown; `body` says why."""

    status: int
    body: Any = None

    @property
    def ok(self) -> bool:
        """True for a 2xx status."""
        return 200 <= self.status < 300


class Client(Protocol):
    """The services, as an actor sees them. A wrapper repeats, records or counts requests; the actors do not know."""

    async def send(self, request: Request) -> Answer:
        """Return the answer to a request."""
        ...


class Refused(Exception):
    """The service refused a request: status and the problem document's code and detail."""

    def __init__(self, request: Request, answer: Answer) -> None:
        body = answer.body
        problem: Mapping[str, Any] = body if isinstance(body, Mapping) else {"detail": str(body)[:200]}
        errors = "; ".join(f"{error['pointer']}: {error['message']}" for error in problem.get("errors", []))
        self.status, self.code = answer.status, str(problem.get("code", ""))
        super().__init__(f"{request.title}: {self.status} {self.code}: {errors or problem.get('detail', '')}")


class BrokenPromise(Exception):
    """A response that breaks a guarantee of the service; the text names it."""


async def call(client: Client, request: Request) -> Any:
    """Return the JSON of a successful answer. Raises `Refused`."""
    answer = await client.send(request)
    if not answer.ok:
        raise Refused(request, answer)
    return answer.body


async def granted(client: Client, request: Request) -> bool:
    """Send a request; return False if the present state of its object does not allow it (409). Raises `Refused`."""
    answer = await client.send(request)
    if not answer.ok and answer.status != 409:
        raise Refused(request, answer)
    return answer.ok


async def rows(
    client: Client, service: str, path: str, name: str = "items", **query: str
) -> AsyncIterator[dict[str, Any]]:
    """Yield every row of an operator's list, page by page; `name` is the field of a page that holds its rows."""
    while True:
        page = await call(client, Request("operator", service, "GET", f"{path}?{urlencode({'limit': PAGE, **query})}"))
        for row in page[name]:
            yield row
        if not page["next"]:
            return
        query["cursor"] = page["next"]


class HttpClient:
    """The services over HTTP: sends each request once, with its own token, or the local token of its role."""

    def __init__(
        self,
        http: Mapping[str, str],
        tokens: Mapping[str, str],
        *,
        connections: int,
        timeout_s: float,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=3)
        self._clients = {
            service: httpx2.AsyncClient(
                base_url=url, timeout=timeout_s, limits=limits, trust_env=False, transport=transport
            )
            for service, url in http.items()
        }
        self._http, self._tokens = http, tokens

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()

    async def send(self, request: Request) -> Answer:
        """Return the answer, with status 0 for a connection that failed and a time-out."""
        token = request.token or self._tokens.get(request.role)
        headers = {"Authorization": f"{'DPoP' if request.prove else 'Bearer'} {token}"} if token else {}
        if request.prove:
            address = self._http[request.service] + request.path.partition("?")[0]
            headers["DPoP"] = request.prove(request.method, address)
        if request.key:
            headers["Idempotency-Key"] = request.key
        try:
            status, content = await self.exchange(request, headers)
        except (httpx2.TransportError, OSError, EOFError) as error:
            return Answer(0, repr(error))
        try:
            return Answer(status, json.loads(content) if content else None)
        except ValueError:
            return Answer(status, content[:300].decode(errors="replace"))

    async def exchange(self, request: Request, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return status and content of an answer. Raises the transport's errors."""
        answer = await self._clients[request.service].request(
            request.method, request.path, json=request.body, headers=headers
        )
        return answer.status_code, answer.content
