"""A lane past the framework, for the one request that comes thousands of times a second.

FastAPI resolves parameters and dependencies anew for each request, which costs more than taking an order does. A lane
takes only what is plainly right; a request with anything odd about its token, headers or body goes to the normal route
of the same endpoint, whose answer and documentation it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kit.http import problems

KEY_LIMIT = 128


@dataclass(frozen=True, slots=True)
class FastPath:
    """A POST at a fixed path: `endpoint(body, role, key)` answers, where `caller` lets the request in. Bodies larger
    than `limit` bytes don't take it.
    """

    path: str
    body: type[BaseModel]
    caller: Callable[[Request], Awaitable[str]]
    endpoint: Callable[[Any, str, str | None], Awaitable[Response]]
    limit: int = 64 * 1024


class FastPathMiddleware:
    """Sends what is right down its lane, and all else to the app with its body put back."""

    def __init__(self, app: ASGIApp, owner: Any, lanes: dict[str, FastPath]) -> None:
        self._app, self._owner, self._lanes = app, owner, lanes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        lane = self._lanes.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if lane is None:
            return await self._app(scope, receive, send)
        scope["app"] = self._owner
        request = Request(scope, receive)
        if not _is_plain(request, lane):
            return await self._app(scope, receive, send)
        try:
            content = await request.body()
        except ClientDisconnect:
            return None
        response = await _answer(lane, request, content)
        if response is None:
            return await self._app(scope, _again(content, receive), send)
        scope["route"] = lane  # whose path the metrics name
        return await response(scope, receive, send)


def _is_plain(request: Request, lane: FastPath) -> bool:
    """Whether its headers are as nearly every client sends them."""
    headers = request.headers
    length = headers.get("content-length", "")
    key = headers.get("idempotency-key")
    return (
        headers.get("content-type") == "application/json"
        and length.isdecimal()
        and int(length) <= lane.limit
        and (key is None or 0 < len(key) <= KEY_LIMIT)
        and not request.scope["query_string"]
    )


async def _answer(lane: FastPath, request: Request, content: bytes) -> Response | None:
    """The endpoint's answer; None where the caller or the body has to be refused."""
    try:
        role = await lane.caller(request)
        body = lane.body.model_validate_json(content)
    except (problems.Problem, ValidationError):
        return None
    try:
        return await lane.endpoint(body, role, request.headers.get("idempotency-key"))
    except Exception as error:
        return problems.of(error).response(lane.path)


def _again(content: bytes, receive: Receive) -> Receive:
    """A body that was read already, and then whatever else comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": content, "more_body": False}

    return again
