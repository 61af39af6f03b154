"""The HTTP application that every service shares: routers, fast paths, limits, problem documents, documentation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

import contracts
from services.kit.context import Context
from services.kit.http import health, problems
from services.kit.http.fast_path import FastPath, FastPathMiddleware
from services.kit.http.middleware import ErrorMiddleware, RequestMiddleware

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


def create_app(
    context: Context,
    routers: Sequence[APIRouter],
    readiness: health.Readiness,
    *,
    use_cases: Any = None,
    fast_paths: Sequence[FastPath] = (),
) -> FastAPI:
    """Return the service's HTTP application: its routers, `/live /ready /metrics`, `/openapi.json` and `/docs`, and
    the events of all services as `/asyncapi.yaml` and `/asyncapi`. `use_cases` is what `dependencies.use_cases` gives
    to the routes, and to the endpoints of `fast_paths`.
    """
    app = _App(
        title=f"{context.service} API",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=BODY_LIMIT,
        responses=problems.RESPONSES,
    )
    app.state.context, app.state.use_cases = context, use_cases
    app.state.fast_paths = {fast.path: fast for fast in fast_paths}
    problems.install(app)
    for router in routers:
        app.include_router(router)
    app.router.routes.extend(health.routes(context.service, readiness))
    for path, file in _PAGES.items():
        app.add_route(path, _page(file), include_in_schema=False)
    app.mount("/schemas", StaticFiles(directory=_CONTRACTS / "schemas"))  # where the events' document points
    app.add_middleware(ErrorMiddleware)
    return app


def _page(file: Path) -> Callable[[Request], Awaitable[FileResponse]]:
    async def page(_request: Request) -> FileResponse:
        return FileResponse(file)

    return page


class _App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        document: dict[str, Any] = super().openapi()
        document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = problems.SCHEMA
        return document

    def build_middleware_stack(self) -> ASGIApp:
        # Outermost, so that it also sees the answers of FastAPI's own body limit.
        return RequestMiddleware(FastPathMiddleware(super().build_middleware_stack(), self))
