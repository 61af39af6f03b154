"""The service dispatch, composed of its parts."""

from __future__ import annotations

from pathlib import Path

from contracts.registry import MODELS
from services.dispatch import background, handlers
from services.dispatch.api.routes import ROUTERS
from services.dispatch.commands import courier_reports
from services.dispatch.repository import PostgresWaves, WaveRepository, gauges
from services.dispatch.settings import settings
from services.kit.process.service import Service

SERVICE = Service(
    name="dispatch",
    migrations=Path(__file__).parent / "migrations",
    subscriptions=handlers.SUBSCRIPTIONS,
    store=PostgresWaves,
    open_repository=WaveRepository,
    models=MODELS,
    on_due=handlers.on_due,
    check_settings=settings,
    routes=ROUTERS,
    on_upload=courier_reports.redrive,
    background=(background.run,),
    gauges=(gauges.update_blocked,),
    checks={"waves": gauges.check_waves},
)
