"""The access service: its migrations, routes and background tasks. It reads no topic."""

from __future__ import annotations

from pathlib import Path

from contracts import registry
from services.access import background
from services.access.api.routes import ROUTERS
from services.access.commands.access import open_access
from services.access.repository.postgres import PostgresAccess
from services.access.settings import settings
from services.kit.consumer.processor import Repository
from services.kit.process.service import Service
from services.kit.transaction.unit_of_work import UnitOfWork

PUBLIC = (
    "POST /v1/devices",
    "POST /v1/devices:renew",
    "POST /v1/otp",
    "POST /v1/otp:verify",
    "POST /v1/token",
    "POST /v1/invitations:open",
    "POST /v1/invitations:accept",
    "POST /v1/login",
    "POST /v1/logout",
)
"""The routes that check a code, a key, a secret or a password of their own, before there is an access token."""


def _none(_uow: UnitOfWork) -> Repository:
    raise NotImplementedError("access reads no topic and has no deadline, so no batch is processed")


SERVICE = Service(
    name="access",
    migrations=Path(__file__).parent / "migrations",
    subscriptions=(),
    open_repository=_none,
    store=PostgresAccess,
    models=registry.MODELS,
    use_cases=open_access,
    routes=ROUTERS,
    public=PUBLIC,
    check_settings=settings,
    background=(background.keys, background.prune),
)
