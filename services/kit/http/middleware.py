"""Middleware of every request: its id, trace, metrics and security headers, and a problem document for any error."""

from __future__ import annotations

import re
import time
from collections.abc import Collection

import structlog
import uuid_utils
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contracts.values import LOCAL_KIND, MOBILE_ID, Principal
from services.kit.http import problems
from services.kit.http.authentication import Authentication
from services.kit.telemetry import tracing
from services.kit.telemetry.logs import REQUESTS
from services.kit.transaction.unit_of_work import CORRELATION, TRACEPARENT

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'"),
]
"""Headers of every response."""


class RequestMiddleware:
    """Outermost layer: gives every request an id, which its events and log lines carry, counts and times it, adds the
    security headers, and turns the framework's plain 413 into a problem document.

    It also finds the caller of every request to `/v1/`, as `scope["principal"]`, and answers one without a valid
    credential before anything of its body is read. `public` names the routes that need none, such as
    `POST /v1/login`.
    """

    def __init__(self, app: ASGIApp, authentication: Authentication, public: Collection[str] = ()) -> None:
        self._app, self._authentication = app, authentication
        routes = (route.partition(" ") for route in public)
        self._public = [(method, compile_path(path)[0]) for method, _, path in routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        refusal = self._identify(scope)
        request_id = _name(scope)
        span = tracing.get().request(scope["method"], TRACEPARENT.get()) if scope["path"].startswith("/v1/") else None
        if span:
            TRACEPARENT.set(span.parent)
        began, status, replaced = time.perf_counter(), 0, False

        async def stamp(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode()), *SECURITY_HEADERS]
            await send(message)

        async def answer(message: Message) -> None:
            nonlocal status, replaced
            if message["type"] == "http.response.start":
                status = message["status"]
                if status == 413 and (b"content-type", b"application/problem+json") not in message["headers"]:
                    replaced = True
                    await _too_large(scope, receive, stamp)
            if not replaced:
                await stamp(message)

        try:
            if refusal:
                return await refusal.response(scope["path"])(scope, receive, answer)
            return await self._app(scope, receive, answer)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            REQUESTS.labels(scope["method"], route, status).observe(time.perf_counter() - began)
            if span:
                span.end(route, status)

    def _identify(self, scope: Scope) -> problems.Problem | None:
        """Find the caller; return the problem of a request that may not go on."""
        path: str = scope["path"]
        if not path.startswith("/v1/"):
            return None
        try:
            peer = scope["client"][0] if scope.get("client") else ""
            principal = self._authentication.principal(dict(scope["headers"]), scope["method"], path, peer)
            scope["principal"] = principal
        except problems.Problem as problem:
            public = any(scope["method"] == method and route.match(path) for method, route in self._public)
            return None if public else problem
        return None


async def _too_large(scope: Scope, receive: Receive, send: Send) -> None:
    problem = problems.Problem(413, "too-large", problems.TITLES[413], "The body is larger than this route takes")
    await problem.response(scope["path"])(scope, receive, send)


class ErrorMiddleware:
    """Answers an error that no handler knows with a 500 problem, logged once, instead of a dropped connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception as error:
            if started:
                raise  # too late for an answer: the server cuts the connection
            await problems.of(error).response(scope["path"])(scope, receive, send)


def _name(scope: Scope) -> str:
    """Return the id of a request, which travels with every event that follows, to all readers of these.

    Id and trace that come with it are taken over from the front door, which has replaced those of its client, and from
    callers with a local token. Those of others would correlate what does not belong together and decide which traces
    are kept; their id is in the log as `client_request_id`.
    """
    headers: dict[bytes, bytes] = dict(scope["headers"])
    principal: Principal | None = scope.get("principal")
    trusted = b"forwarded" in headers or (principal is not None and principal.kind == LOCAL_KIND)
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    usable = bool(_REQUEST_ID.fullmatch(given)) and not MOBILE_ID.search(given)
    request_id = given if usable and trusted else str(uuid_utils.uuid7())
    trace = headers.get(b"traceparent", b"").decode("latin-1") if trusted else ""
    CORRELATION.set(request_id)
    TRACEPARENT.set(trace if _TRACEPARENT.fullmatch(trace) else None)
    structlog.contextvars.bind_contextvars(request=request_id)
    if usable and not trusted:
        structlog.contextvars.bind_contextvars(client_request_id=given)
    return request_id
