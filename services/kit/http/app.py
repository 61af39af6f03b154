"""The HTTP application that every service shares: routers, fast paths, limits, problem documents."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from services.kit.context import Context
from services.kit.http import health, problems
from services.kit.http.authentication import CAPABILITY_SCHEME, HOLDER, Authentication
from services.kit.http.fast_path import FastPath, FastPathMiddleware, check
from services.kit.http.middleware import ErrorMiddleware, RequestMiddleware

BODY_LIMIT = 256 * 1024
"""Bytes of a request's body; a route sets its own with `max_body_size=`."""


def create_app(
    context: Context,
    routers: Sequence[APIRouter],
    authentication: Authentication,
    *,
    use_cases: Any = None,
    fast_paths: Sequence[FastPath] = (),
    public: Collection[str] = (),
) -> FastAPI:
    """Return the service's HTTP application: its routers and `/live`; readiness, metrics and documents have a port of
    their own (`operations`). `use_cases` is what `dependencies.use_cases` gives to the routes, and to the endpoints of
    `fast_paths`; `public` are the routes that need no credential. Raises ValueError for a public route
    that is none, and for a fast path that does not give what its route asks for.
    """
    app = _App(
        title=f"{context.service} API",
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=BODY_LIMIT,
        responses=problems.RESPONSES,
    )
    app.state.context, app.state.use_cases = context, use_cases
    app.state.authentication, app.state.public = authentication, public
    app.state.fast_paths = {fast.path: fast for fast in fast_paths}
    problems.install(app)
    for router in routers:
        app.include_router(router)
    known = {
        f"{method} {route.path}"
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    if unknown := set(public) - known:
        raise ValueError(f"no such route: {', '.join(sorted(unknown))}; correct the service's `public`")
    app.router.routes.append(health.live(context.service))
    for fast in fast_paths:
        check(fast, routers)
    app.add_middleware(ErrorMiddleware)
    return app


class _App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        document: dict[str, Any] = super().openapi()
        components = document.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = problems.SCHEMA
        if any(route.openapi_extra == HOLDER for route in self.routes if isinstance(route, APIRoute)):
            components["securitySchemes"] |= CAPABILITY_SCHEME
        return document

    def build_middleware_stack(self) -> ASGIApp:
        # Outermost, so that it also sees the answers of FastAPI's own body limit.
        inner = FastPathMiddleware(super().build_middleware_stack(), self)
        return RequestMiddleware(inner, self.state.authentication, self.state.public)
