"""The HTTP application of a service: its own routes and those that the kit adds to every service."""

from __future__ import annotations

from fastapi import FastAPI

from services.kit.context import Context
from services.kit.http.app import create_app
from services.kit.process import dead_letters_api
from services.kit.process.service import Service
from services.kit.uploads import flags_api


def create_api(service: Service, context: Context) -> FastAPI:
    """Return the application of one process."""
    use_cases = service.use_cases(context)
    routers = [*service.routes, dead_letters_api.router, flags_api.router]
    app = create_app(context, routers, use_cases=use_cases, fast_paths=service.fast_paths)
    app.state.service = service
    return app
