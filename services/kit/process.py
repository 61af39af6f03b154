"""How a service becomes processes: `python -m services.X api|worker|all`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import structlog
from fastapi import APIRouter

from services.kit import database
from services.kit.clock import Clock
from services.kit.consumer import Decode, Processor, Subscription
from services.kit.deadlines import Sweeper
from services.kit.delivery import Handler
from services.kit.handling import Book, Handling
from services.kit.patience import wait_for
from services.kit.settings import Settings, UnusableSettings
from services.kit.telemetry import configure_logging
from services.kit.unit_of_work import Pool, UnitOfWork, begin

STOP_SECONDS = 9.0
"""A stop that takes longer is cut short: whoever sent SIGTERM expects the process to be gone after ten."""

_log = structlog.get_logger("halfday.process")


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service as data. `decode` turns a type and bytes into an event and raises for what it doesn't know;
    `background` are endless tasks of the worker, such as a planner's loop; each of `signals` is asked every few
    seconds to read the database into a gauge of its own.
    """

    name: str
    migrations: Path
    subscriptions: tuple[Subscription, ...]
    open_book: Callable[[UnitOfWork], Book]
    decode: Decode
    on_due: Handler | None = None
    routes: Callable[[Context], APIRouter] | tuple[APIRouter, ...] = ()
    background: tuple[Callable[[Context], Awaitable[None]], ...] = ()
    signals: tuple[Callable[[Pool], Awaitable[None]], ...] = ()


@dataclass(frozen=True)
class Context:
    """What a running process has in hand. `wake` tells the relay, here or in the worker, that a commit has events."""

    settings: Settings
    clock: Clock
    pool: Pool
    wake: Callable[[], None]
    service: Service

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
                open_book=service.open_book,
                decode=service.decode,
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
            open_book=service.open_book,
            wake=self.wake,
        )

    def consumers(self) -> dict[str, Handling]:
        """Everything that can have parked a record, by the name of its consumer."""
        sweeper = self.sweeper()
        found: list[Handling] = [*self.processors(), *([sweeper] if sweeper else [])]
        return {handling.consumer: handling for handling in found}


async def boot(service: Service, settings: Settings) -> Context:
    """A context with an open pool and a migrated database, however long PostgreSQL takes to come up.

    Safe to repeat and from several processes at once. Raises `database.MigrationFailed`.
    """
    pool = await wait_for("PostgreSQL", lambda: database.connect_pool(settings))
    await database.migrate(settings, [database.KIT_MIGRATIONS, service.migrations])
    return Context(settings, Clock.of(settings), pool, lambda: None, service)


def main(service: Service, argv: Sequence[str]) -> int:
    """Runs one process of the service until SIGTERM or SIGINT; the exit code.

    0 after a clean stop, 2 when arguments or settings are unusable, 1 when a part of it failed: then the supervisor
    starts it again, and nothing is lost.
    """
    role = _parse(service, argv)
    try:
        settings = Settings.load()
    except UnusableSettings as wrong:
        print(f"{service.name} can't start:\n{wrong}", file=sys.stderr)
        return 2
    if not settings.instance:
        settings = settings.model_copy(update={"instance": f"{service.name}.{role}.0"})
    configure_logging(settings, service.name, role)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_live(service, role, settings))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # no build for this platform
        return None
    return uvloop.new_event_loop


def _parse(service: Service, argv: Sequence[str]) -> str:
    parser = argparse.ArgumentParser(
        prog=f"python -m services.{service.name}",
        description=f"Runs a process of the {service.name} service until SIGTERM or Ctrl-C.",
        epilog="Settings come from the environment: HALFDAY_DATABASE_URL and HALFDAY_KAFKA_BOOTSTRAP are needed, "
        "HALFDAY_HTTP_PORT by the api, HALFDAY_HEALTH_PORT by the worker; services/kit/settings.py has the rest. "
        "PostgreSQL and Kafka may start later than this. Normally `./halfday up` starts it. "
        f"Example: HALFDAY_DATABASE_URL=postgresql://... python -m services.{service.name} api",
    )
    parser.add_argument(
        "role",
        choices=("api", "worker", "all"),
        help="api answers HTTP; worker runs consumers, relay and deadlines; all is both in one process, for trying out",
    )
    return str(parser.parse_args(argv[1:]).role)


async def _live(service: Service, role: str, settings: Settings) -> int:
    from services.kit.runtime import Runtime  # it needs the names above

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runtime = Runtime(service, role, settings)
    work = asyncio.create_task(runtime.run(), name="work")
    asked = asyncio.create_task(stop.wait())
    await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
    failed = work.done()
    if failed:
        _log.error("a part of the process failed", exc_info=work.exception())
    try:
        async with asyncio.timeout(STOP_SECONDS):
            work.cancel()
            await asyncio.wait({work})
            await runtime.stop()
    except TimeoutError:
        _log.error("the stop took too long and was cut short")
        return 1
    _log.info("stopped")
    return 1 if failed else 0
