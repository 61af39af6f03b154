"""One running process: the parts of each role, in the order in which they start and stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp

from services.kit.clock_feed import feed_of
from services.kit.consumer.subscription import subscribe
from services.kit.context import Context
from services.kit.database import Pool
from services.kit.http import health, operations
from services.kit.identity.directory import Directory
from services.kit.kafka import make_broker
from services.kit.process import gauges, housekeeping, readiness
from services.kit.process.api import create_api
from services.kit.process.consumer_watch import ConsumerWatch
from services.kit.process.service import Service, boot
from services.kit.relay.relay import Relay
from services.kit.settings import Settings
from services.kit.startup_retry import wait_for
from services.kit.telemetry import tracing
from services.kit.telemetry.logs import watch_loop
from services.kit.transaction.outbox import Waker

FLUSH_SECONDS = 2.0
SUBSCRIBE_SECONDS = 60.0
"""A consumer that has no partitions by then waits for an answer that does not come: the process starts again."""
_log = structlog.get_logger("halfday.process")


class Runtime:
    """Starts a role and keeps it running; when any essential part ends, so does `run`, with that part's error.

    `stop` ends the parts, last first: the API stops accepting, consumers finish their current batch, the relay
    publishes what they left, then the rest. A stop that is cut short loses nothing: the work is done after the start.
    """

    def __init__(self, service: Service, role: str, settings: Settings) -> None:
        self._service, self._role, self._settings = service, role, settings
        self._health = health.Readiness()
        self._operations = operations.create_operations(service.name, self._health)
        self._ending = AsyncExitStack()
        self._essential: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Run until cancelled. Raises the error of the first part that ended."""
        works = self._role in {"worker", "all"}
        self._ending.push_async_callback(tracing.start(self._service.name, self._settings.instance).stop)
        self._health.waiting_for = "PostgreSQL and migrations"
        # First of all, so that /ready can say what the process waits for.
        await self._listen(self._operations, self._settings.health_port)
        context = await boot(self._service, self._settings)
        self._ending.push_async_callback(_close, context.pool)
        wake = asyncio.Event()
        context = replace(context, wake=wake.set if works else self._waker())
        self._start("loop watch", watch_loop())
        if feed := feed_of(self._settings):
            self._start("clock", feed.follow(context.clock))
        if works:
            await self._work(context, wake)
        if self._role in {"api", "all"}:
            await self._answer(context)
        self._health.waiting_for = None
        _log.info("serving", instance=self._settings.instance)
        done, _ = await asyncio.wait(self._essential, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
            raise RuntimeError(f"{task.get_name()} ended without an error")

    async def stop(self) -> None:
        """End everything that `run` started, also when it was interrupted."""
        await self._ending.aclose()

    async def _work(self, context: Context, wake: asyncio.Event) -> None:
        topics = readiness.topics_of(self._service)
        kafka = readiness.Kafka(self._settings, topics)
        self._ending.push_async_callback(kafka.close)
        self._health.checks |= readiness.worker_checks(self._service, context, kafka)
        self._health.waiting_for = "Kafka and its topics"
        await wait_for("Kafka", kafka.require)
        await wait_for("the archive's partitions", lambda: housekeeping.prepare(context))
        self._start("relay", Relay(self._service.name, self._settings, wake, context.ports).run())
        self._ending.push_async_callback(_flush, context.pool)
        self._start("housekeeping", housekeeping.run(context, self._service.prune))
        if sweeper := self._service.sweeper(context):
            self._start("deadlines", sweeper.run())
        for task in self._service.background:
            self._start(task.__name__, _forever(task, context))
        broker = make_broker(self._settings)
        consumers = [(one, subscribe(broker, one, self._settings)) for one in self._service.processors(context)]
        self._ending.push_async_callback(broker.stop)
        async with asyncio.timeout(SUBSCRIBE_SECONDS):
            await broker.start()
        watch = ConsumerWatch(consumers, partial(readiness.ask_kafka, self._settings, topics))
        self._health.checks["consumers"] = watch.check
        self._start("consumers", watch.run())
        self._start("gauges", gauges.watch(context, self._service.gauges))

    async def _answer(self, context: Context) -> None:
        self._health.checks |= readiness.api_checks(self._service, context)
        directory = Directory()
        await directory.refresh(context.pool)
        self._start("principals", directory.follow(self._settings))
        api = create_api(self._service, context, directory)
        self._operations.router.routes.extend(operations.documents(api))
        await self._listen(api, self._settings.http_port)

    def _waker(self) -> Callable[[], None]:
        waker = Waker(self._settings.database_url)
        self._start("waker", waker.run())
        return waker

    def _start(self, name: str, part: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(part, name=name)
        self._essential.append(task)
        self._ending.push_async_callback(_cancel, task)
        return task

    async def _listen(self, app: ASGIApp, port: int) -> None:
        config = uvicorn.Config(
            app,
            host=self._settings.http_host,
            port=port,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the door names its client in `Forwarded`, which nothing here trusts as an address
            timeout_graceful_shutdown=5,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve(), name=f"http on {port}")
        self._essential.append(task)
        self._ending.push_async_callback(_end, server, task)
        while not server.started and not task.done():  # noqa: ASYNC110 uvicorn has no event for it
            await asyncio.sleep(0.01)


class _Server(uvicorn.Server):
    """Leaves the signals to the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _end(server: uvicorn.Server, task: asyncio.Task[None]) -> None:
    server.should_exit = True
    await asyncio.wait({task})


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


async def _close(pool: Pool) -> None:
    try:
        async with asyncio.timeout(2):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def _flush(pool: Pool) -> None:
    """Give the relay a moment to publish the last events; the others are published after the next start."""
    try:
        async with asyncio.timeout(FLUSH_SECONDS):
            while await pool.fetchval("select exists (select from outbox where not held)"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    except Exception as error:  # Kafka or the database is away, and the rows stay in the outbox
        _log.info("events stay in the outbox", reason=type(error).__name__)


async def _forever(task: Callable[[Context], Awaitable[None]], context: Context) -> None:
    await task(context)
