"""The definition of a service as data, and the consumers of one of its processes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from services.kit import database
from services.kit.clock import Clock
from services.kit.clock_feed import feed_of
from services.kit.consumer.dedup import Inbox
from services.kit.consumer.delivery import Handler
from services.kit.consumer.processor import BatchProcessor, Repository
from services.kit.consumer.subscription import Models, Subscription, TopicSource
from services.kit.consumer.sweeper import Sweeper
from services.kit.context import Context
from services.kit.database import Pool
from services.kit.http.authentication import Capabilities
from services.kit.http.fast_path import FastPath
from services.kit.http.health import CheckResult
from services.kit.settings import Settings
from services.kit.startup_retry import wait_for
from services.kit.transaction import access_log
from services.kit.transaction.ports import Ports
from services.kit.transaction.unit_of_work import UnitOfWork
from services.kit.uploads.kept import OnUpload


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service as data.

    - `models`: all event types of the contracts, by name;
    - `store`: opens the service's tables over a connection or pool; repositories use it as `uow.store`;
    - `use_cases`: makes the object that routes and fast paths share in one process (`dependencies.use_cases`), such as
      a catalogue cache and a group commit; the context itself where there is none;
    - `capabilities`: makes, of the use cases, what finds callers without an account;
    - `public`: routes that need no credential, as `METHOD /path`: they issue one, or check one of another kind;
    - `check_settings`: raises `UnusableSettings` for wrong variables of the service's own;
    - `background`: endless tasks of the worker, such as a planner's loop;
    - `prune`: each deletes a small batch of rows that nothing needs, hourly (`housekeeping.Prune`);
    - `gauges`: each reads the database every few seconds into a gauge of its own;
    - `checks`: lines of `/ready` by name, in the API and in the worker;
    - `on_upload`: applies a kept upload of an owner, or returns why it still has no effect; see `kept`.
    """

    name: str
    migrations: Path
    subscriptions: tuple[Subscription, ...]
    open_repository: Callable[[UnitOfWork], Repository]
    models: Models
    store: Callable[[Any], Any] = lambda _conn: None
    on_due: Handler | None = None
    use_cases: Callable[[Context], Any] = lambda context: context
    routes: tuple[APIRouter, ...] = ()
    fast_paths: tuple[FastPath, ...] = ()
    capabilities: Callable[[Any], Capabilities] | None = None
    public: Collection[str] = ()
    check_settings: Callable[[], object] = lambda: None
    background: tuple[Callable[[Context], Awaitable[None]], ...] = ()
    prune: tuple[Callable[..., Awaitable[int]], ...] = ()
    gauges: tuple[Callable[[Pool], Awaitable[None]], ...] = ()
    checks: Mapping[str, Callable[[Pool], Awaitable[CheckResult]]] = field(default_factory=dict)
    on_upload: OnUpload | None = None

    def __post_init__(self) -> None:
        """Raise ValueError where a command to this service has no handler."""
        handled = {kind for subscription in self.subscriptions for kind in subscription.handlers}
        own = [model for model in self.models.values() if f"{self.name}.command.v1" == model.TOPIC]
        if missing := [model.TYPE for model in own if model not in handled]:
            raise ValueError(f"{self.name} handles no {', '.join(missing)}: add a handler to its subscriptions")

    def processors(self, context: Context) -> list[BatchProcessor[TopicSource]]:
        """Return one processor for each topic that the service reads."""
        sources = [TopicSource(self.name, subscription, self.models) for subscription in self.subscriptions]
        return [
            BatchProcessor(source, Inbox(), source.subscription.open_repository or self.open_repository, context)
            for source in sources
        ]

    def sweeper(self, context: Context) -> Sweeper | None:
        """Return the sweeper that fires the service's deadlines; None when it has none."""
        return Sweeper(self.name, self.on_due, self.open_repository, context) if self.on_due else None

    def consumers(self, context: Context) -> dict[str, BatchProcessor[Any]]:
        """Return everything that can have dead-lettered a record, by the name of its consumer."""
        sweeper = self.sweeper(context)
        found: list[BatchProcessor[Any]] = [*self.processors(context), *([sweeper.processor] if sweeper else [])]
        return {processor.consumer: processor for processor in found}


async def boot(service: Service, settings: Settings) -> Context:
    """Return a context with an open pool and a migrated database, however long PostgreSQL takes to start.

    Safe to repeat and from several processes at once. Raises `MigrationFailed`.
    """
    pool = await wait_for("PostgreSQL", lambda: database.connect_pool(settings))
    await database.migrate(settings, [database.KIT_MIGRATIONS, service.migrations])
    feed = feed_of(settings)
    await access_log.prepare(pool, settings.access_log_days)
    clock = Clock(await wait_for("the business clock", feed.read) if feed else None)
    return Context(settings, Ports(clock, service.store), pool, lambda: None, service.name)
