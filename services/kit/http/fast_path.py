"""Fast path for hot POST endpoints: serves well-formed requests without FastAPI's dependency resolution.

FastAPI resolves parameters and dependencies again for each request, which costs more than taking an order does. A fast
path takes only requests that are plainly right; one with anything unusual about its token, headers or body goes to the
normal route of the same endpoint, which gives the same answer and has the documentation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contracts.values import Principal
from services.kit.http import problems
from services.kit.http.dependencies import use_cases

KEY_LIMIT = 128


@dataclass(frozen=True, slots=True)
class FastPath:
    """A POST at a fixed path. `caller` checks the scope; `endpoint(body, use_cases, principal, key)` answers, where
    `use_cases` is the object that `Service.use_cases` made. Bodies larger than `limit` bytes take the normal route.
    """

    path: str
    body: type[BaseModel]
    caller: Callable[[Request], Awaitable[Principal]]
    endpoint: Callable[[Any, Any, Principal, str | None], Awaitable[Response]]
    limit: int = 64 * 1024


def check(fast: FastPath, routers: Sequence[APIRouter]) -> None:
    """Raise ValueError unless the route of a fast path asks for exactly what the fast path gives: the body, the use
    cases, the caller and the idempotency key. Anything else that the route asks for would be silently absent.
    """
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    route = next((one for one in routes if one.path == fast.path and "POST" in (one.methods or ())), None)
    if route is None or route.endpoint is not fast.endpoint:
        raise ValueError(f"no route POST {fast.path} has the endpoint of its fast path")
    asked = route.dependant
    odd = [
        *(one.call for one in asked.dependencies if one.call not in (fast.caller, use_cases)),
        *(one.name for one in (*asked.path_params, *asked.query_params, *asked.cookie_params)),
        *(one.name for one in asked.header_params if one.alias != "Idempotency-Key"),
        *(one.name for one in asked.body_params if one.field_info.annotation is not fast.body),
        *filter(None, (asked.request_param_name, asked.response_param_name, asked.background_tasks_param_name)),
    ]
    if odd:
        raise ValueError(f"the fast path of {fast.path} does not give what its route asks for: {odd}")


class FastPathMiddleware:
    """Serves well-formed requests by their fast path, and passes all others to the app with the body put back.

    `owner` is the application; its state holds `fast_paths` by path, and `use_cases`.
    """

    def __init__(self, app: ASGIApp, owner: Any) -> None:
        self._app, self._owner = app, owner
        self._fast_paths: dict[str, FastPath] = owner.state.fast_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        fast = self._fast_paths.get(scope["path"]) if is_post else None
        if fast is None:
            return await self._app(scope, receive, send)
        scope["app"] = self._owner
        request = Request(scope, receive)
        if not _is_plain(request, fast):
            return await self._app(scope, receive, send)
        try:
            content = await request.body()
        except ClientDisconnect:
            return None
        response = await _answer(fast, request, content)
        if response is None:
            return await self._app(scope, _again(content, receive), send)
        scope["route"] = fast  # the metrics name its path
        return await response(scope, receive, send)


def _is_plain(request: Request, fast: FastPath) -> bool:
    """Return true if the headers are those that nearly every client sends."""
    headers = request.headers
    length = headers.get("content-length", "")
    key = headers.get("idempotency-key")
    return (
        headers.get("content-type") == "application/json"
        and length.isdecimal()
        and int(length) <= fast.limit
        and (key is None or 0 < len(key) <= KEY_LIMIT)
        and not request.scope["query_string"]
    )


async def _answer(fast: FastPath, request: Request, content: bytes) -> Response | None:
    """Return the endpoint's answer, or None where the caller or the body has to be refused."""
    try:
        principal = await fast.caller(request)
        body = fast.body.model_validate_json(content)
    except (problems.Problem, ValidationError):
        return None
    try:
        return await fast.endpoint(body, request.app.state.use_cases, principal, request.headers.get("idempotency-key"))
    except Exception as error:
        return problems.of(error).response(fast.path)


def _again(content: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body that was read already, then passes messages through."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": content, "more_body": False}

    return again
