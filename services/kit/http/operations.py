"""The operations application of a process, on a port of its own: health, metrics and, for the API, its documents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import contracts
from services.kit.http import health
from services.kit.http.middleware import SECURITY_HEADERS

_STATIC = Path(__file__).parent / "static"
_CONTRACTS = Path(contracts.__file__).parent
_PAGES = {
    "/docs": _STATIC / "docs.html",
    "/docs/docs.js": _STATIC / "docs.js",
    "/docs/docs.css": _STATIC / "docs.css",
    "/asyncapi": _CONTRACTS / "asyncapi.html",
    "/asyncapi.yaml": _CONTRACTS / "asyncapi.yaml",
}


def create_operations(service: str, readiness: health.Readiness) -> Starlette:
    """Return the application with `/live /ready /metrics`; for operators and programs on the same machine or network,
    never for a public address.
    """
    return Starlette(routes=health.routes(service, readiness), middleware=[Middleware(_SecurityHeaders)])


def documents(api: FastAPI) -> list[BaseRoute]:
    """Return the routes of an API's documents: `/openapi.json` and `/docs`, and the events of all services as
    `/asyncapi.yaml` and `/asyncapi`, with the `/schemas` to which these point.
    """

    async def openapi(_request: Request) -> Response:
        return JSONResponse(api.openapi())

    return [
        Route("/openapi.json", openapi),
        *(Route(path, _page(file)) for path, file in _PAGES.items()),
        Mount("/schemas", StaticFiles(directory=_CONTRACTS / "schemas")),
    ]


def _page(file: Path) -> Callable[[Request], Awaitable[FileResponse]]:
    async def page(_request: Request) -> FileResponse:
        return FileResponse(file)

    return page


class _SecurityHeaders:
    """Adds the security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def stamp(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *SECURITY_HEADERS]
            await send(message)

        await self._app(scope, receive, stamp)
