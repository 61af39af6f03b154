"""A service as data, and what one of its running processes has in hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import APIRouter

from services.kit import database
from services.kit.clock import Clock
from services.kit.clock_feed import feed_of
from services.kit.consumer.delivery import Handler
from services.kit.consumer.processor import BatchProcessor, Repository
from services.kit.consumer.subscription import Models, Processor, Subscription
from services.kit.consumer.sweeper import Sweeper
from services.kit.http.fast_path import FastPath
from services.kit.http.health import CheckResult
from services.kit.settings import Settings
from services.kit.startup_retry import wait_for
from services.kit.transaction.unit_of_work import Pool, UnitOfWork, begin
from services.kit.uploads.upload import Upload


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service as data. `models` are all types of the contracts, by name; `background` are endless tasks of the
    worker, such as a planner's loop; each of `signals` is asked every few seconds to read the database into a gauge of
    its own; `checks` are lines of `/ready` by name, in the API and in the worker. `on_upload` gives a kept upload of an
    owner its effect, or says why it still has none; see `kept`.
    """

    name: str
    migrations: Path
    subscriptions: tuple[Subscription, ...]
    open_repository: Callable[[UnitOfWork], Repository]
    models: Models
    on_due: Handler | None = None
    routes: Callable[[Context], APIRouter] | tuple[APIRouter, ...] = ()
    background: tuple[Callable[[Context], Awaitable[None]], ...] = ()
    signals: tuple[Callable[[Pool], Awaitable[None]], ...] = ()
    checks: Mapping[str, Callable[[Pool], Awaitable[CheckResult]]] = field(default_factory=dict)
    on_upload: Callable[[UnitOfWork, str, Upload, Mapping[str, str]], Awaitable[str]] | None = None


@dataclass(frozen=True)
class Context:
    """What a running process has in hand. `wake` tells the relay, here or in the worker, that a commit has events;
    `lanes` are the requests, by path, that go past the framework.
    """

    settings: Settings
    clock: Clock
    pool: Pool
    wake: Callable[[], None]
    service: Service
    lanes: dict[str, FastPath] = field(default_factory=dict)

    def unit(self, consumer: str | None = None) -> AbstractAsyncContextManager[UnitOfWork]:
        """One transaction in the name of `consumer`, by default the service's API; see `unit_of_work.begin`."""
        return begin(self.pool, self.clock, consumer=consumer or f"{self.service.name}.api", wake=self.wake)

    def routers(self) -> list[APIRouter]:
        """The service's HTTP routes."""
        routes = self.service.routes
        return [routes(self)] if callable(routes) else list(routes)

    def processors(self) -> list[Processor]:
        """What handles each topic that the service reads."""
        service = self.service
        return [
            Processor(
                service.name,
                subscription,
                pool=self.pool,
                clock=self.clock,
                open_repository=service.open_repository,
                models=service.models,
                wake=self.wake,
            )
            for subscription in service.subscriptions
        ]

    def sweeper(self) -> Sweeper | None:
        """What fires the service's deadlines; None when it has none."""
        service = self.service
        if service.on_due is None:
            return None
        return Sweeper(
            service.name,
            service.on_due,
            pool=self.pool,
            clock=self.clock,
            open_repository=service.open_repository,
            wake=self.wake,
        )

    def consumers(self) -> dict[str, BatchProcessor]:
        """Everything that can have parked a record, by the name of its consumer."""
        sweeper = self.sweeper()
        found: list[BatchProcessor] = [*self.processors(), *([sweeper] if sweeper else [])]
        return {handling.consumer: handling for handling in found}


async def boot(service: Service, settings: Settings) -> Context:
    """A context with an open pool and a migrated database, however long PostgreSQL takes to come up.

    Safe to repeat and from several processes at once. Raises `database.MigrationFailed`.
    """
    pool = await wait_for("PostgreSQL", lambda: database.connect_pool(settings))
    await database.migrate(settings, [database.KIT_MIGRATIONS, service.migrations])
    feed = feed_of(settings)
    return Context(
        settings, Clock(await wait_for("the business clock", feed.read) if feed else None), pool, lambda: None, service
    )
