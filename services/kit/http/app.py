"""The HTTP edge that every service shares: roles, limits, request ids, problem documents, docs from own files."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated

import structlog
import uuid_utils
from fastapi import APIRouter, FastAPI, Header, Query, Request
from fastapi.security import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import contracts
from contracts.values import MOBILE_ID
from services.kit.http import health, problems
from services.kit.http.body import Body as Body  # services take it from here
from services.kit.http.fast_path import FastPathMiddleware
from services.kit.process.service import Context
from services.kit.telemetry import tracing
from services.kit.telemetry.logs import REQUESTS
from services.kit.transaction.unit_of_work import CORRELATION, TRACEPARENT

BODY_LIMIT = 256 * 1024
"""Bytes of a request's body; a route sets its own with `max_body_size=`."""

_STATIC = Path(__file__).parent / "static"
_CONTRACTS = Path(contracts.__file__).parent
_PAGES = {
    "/docs": _STATIC / "docs.html",
    "/docs/docs.js": _STATIC / "docs.js",
    "/docs/docs.css": _STATIC / "docs.css",
    "/asyncapi": _CONTRACTS / "asyncapi.html",
    "/asyncapi.yaml": _CONTRACTS / "asyncapi.yaml",
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'"),
]
_bearer = HTTPBearer(auto_error=False, description="One token per role")

IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=128)]
"""Parameter type for the header of every unsafe request that makes something."""


After = Annotated[str, Query(max_length=64, pattern=r"^[A-Za-z0-9._~-]*$")]
"""Parameter type of the cursor of a list in order of a readable id: the last id of the page before."""


def create_app(context: Context, routers: Sequence[APIRouter], readiness: health.Readiness) -> FastAPI:
    """The service's HTTP application: its routers, `/live /ready /metrics`, `/openapi.json` and `/docs`, and
    the events of all services as `/asyncapi.yaml` and `/asyncapi`.
    """
    app = _App(
        title=f"{context.service.name} API",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=BODY_LIMIT,
        responses=problems.RESPONSES,
    )
    app.state.context = context
    problems.install(app)
    for router in routers:
        app.include_router(router)
    app.router.routes.extend(health.routes(context.service.name, readiness))
    for path, file in _PAGES.items():
        app.add_route(path, _page(file), include_in_schema=False)
    app.mount("/schemas", StaticFiles(directory=_CONTRACTS / "schemas"))  # where the events' document points
    app.add_middleware(ErrorMiddleware)
    return app


class Caller(SecurityBase):
    """The dependency that `require` makes. One level deep, for the framework spends more on each than we do in it."""

    def __init__(self, roles: Sequence[str]) -> None:
        self.model, self.scheme_name = _bearer.model, _bearer.scheme_name
        self._roles = roles

    async def __call__(self, request: Request) -> str:
        """The role of the caller."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise problems.unauthorized("Send a bearer token in the Authorization header")
        role = _role(context_of(request).settings.tokens, token)
        if role is None:
            raise problems.unauthorized("This token is not known here")
        if role not in self._roles:
            raise problems.forbidden(f"This needs the role {' or '.join(self._roles)}, the token has {role}")
        return role


def require(*roles: str) -> Caller:
    """A dependency, used as `Depends(require("operator", "buyer"))`: the caller's role, which is one of `roles`.

    401 without a known bearer token, 403 with one of another role. Tokens are compared as digests, in constant time.
    """
    return Caller(roles)


def context_of(request: Request) -> Context:
    """A dependency: the context of the app that serves the request."""
    context: Context = request.app.state.context
    return context


def _role(tokens: dict[str, str], token: str) -> str | None:
    digest = hashlib.sha256(token.encode()).hexdigest()
    found = [role for role, known in tokens.items() if hmac.compare_digest(known, digest)]
    return found[0] if found else None


def request_key(header: str | None, own_id: object | None) -> str | None:
    """The idempotency key of a request: the id in its body where there is one, else the header, else None.

    Raises a 422 problem when the two are there and differ.
    """
    if own_id is None:
        return header
    if header is not None and header != str(own_id):
        raise problems.unprocessable("", "The Idempotency-Key differs from the id in the body, which is the key")
    return str(own_id)


def _page(file: Path) -> Callable[[Request], Awaitable[FileResponse]]:
    async def page(_request: Request) -> FileResponse:
        return FileResponse(file)

    return page


class _App(FastAPI):
    def build_middleware_stack(self) -> ASGIApp:
        # Outermost, so that it also sees the answers of FastAPI's own body limit.
        return RequestMiddleware(FastPathMiddleware(super().build_middleware_stack(), self, self.state.context.lanes))


class RequestMiddleware:
    """Outermost layer: gives every request an id, which names its whole flow of events and logs, counts and times
    it, adds the security headers, and turns the framework's plain 413 into a problem document.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = _identify(scope)
        span = tracing.get().request(scope["method"], TRACEPARENT.get()) if scope["path"].startswith("/v1/") else None
        if span:
            TRACEPARENT.set(span.parent)
        began, status, replaced = time.perf_counter(), 0, False

        async def stamp(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode()), *_SECURITY]
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
            return await self._app(scope, receive, answer)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            REQUESTS.labels(scope["method"], route, status).observe(time.perf_counter() - began)
            if span:
                span.end(route, status)


async def _too_large(scope: Scope, receive: Receive, send: Send) -> None:
    problem = problems.Problem(413, "too-large", "Too large", "The body is larger than this route takes")
    await problem.response(scope["path"])(scope, receive, send)


class ErrorMiddleware:
    """Answers an error that no handler knows with a 500 problem, logged once, instead of a dropped connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
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


def _identify(scope: Scope) -> str:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    # It goes with every event that follows, to whoever may read them.
    usable = _REQUEST_ID.fullmatch(given) and not MOBILE_ID.search(given)
    request_id = given if usable else str(uuid_utils.uuid7())
    trace = headers.get(b"traceparent", b"").decode("latin-1")
    CORRELATION.set(request_id)
    TRACEPARENT.set(trace if _TRACEPARENT.fullmatch(trace) else None)
    structlog.contextvars.bind_contextvars(request=request_id)
    return request_id
