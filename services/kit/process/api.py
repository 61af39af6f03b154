"""The HTTP application of a service: its own routes and those that the kit adds to every service."""

from __future__ import annotations

from fastapi import FastAPI

from services.kit.context import Context
from services.kit.http.app import create_app
from services.kit.http.authentication import Authentication
from services.kit.identity.directory import Directory
from services.kit.identity.possession import Proofs
from services.kit.identity.tokens import Tokens
from services.kit.process import access_log_api, dead_letters_api
from services.kit.process.service import Service
from services.kit.uploads import flags_api, quarantine_api


def create_api(service: Service, context: Context, directory: Directory | None = None) -> FastAPI:
    """Return the application of one process. Its callers are those of the directory, by default none, and of the local
    tokens.
    """
    tokens = Tokens(directory or Directory(), context.clock.real)
    use_cases = service.use_cases(context)
    capabilities = service.capabilities(use_cases) if service.capabilities else None
    authentication = Authentication(context.settings.tokens, tokens, Proofs(context.clock.real), capabilities)
    routers = [*service.routes, dead_letters_api.router, flags_api.router, quarantine_api.router, access_log_api.router]
    app = create_app(
        context, routers, authentication, use_cases=use_cases, fast_paths=service.fast_paths, public=service.public
    )
    app.state.service = service
    return app
