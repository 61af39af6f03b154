"""Command line of a service: `python -m services.X api|worker|all`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence

import structlog

from services.kit.errors import UnusableSettings
from services.kit.process.runtime import Runtime
from services.kit.process.service import Service
from services.kit.settings import Settings
from services.kit.telemetry.logs import configure_logging

STOP_SECONDS = 9.0
"""A stop that takes longer is cut short: the sender of SIGTERM expects the process to end within ten seconds."""

WORKER_NICE = 10
"""People wait for the API and not for a worker: where they share a core in a burst, the API goes first."""

_log = structlog.get_logger("halfday.process")


def main(service: Service, argv: Sequence[str]) -> int:
    """Run one process of the service until SIGTERM or SIGINT; return the exit code.

    0 after a clean stop, 2 when arguments or settings are unusable, 1 when a part of it failed: then the supervisor
    starts it again, and nothing is lost.
    """
    role = _parse(service, argv)
    try:
        settings = Settings.load()
        service.check_settings()
    except UnusableSettings as wrong:
        print(f"{service.name} can't start:\n{wrong}", file=sys.stderr)
        return 2
    if not settings.instance:
        settings = settings.model_copy(update={"instance": f"{service.name}.{role}.0"})
    configure_logging(settings, service.name, role)
    collect_less()
    if role == "worker" and hasattr(os, "nice"):
        os.nice(WORKER_NICE)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_live(service, role, settings))


def collect_less() -> None:
    """Reduce garbage-collection cost (about 10 % CPU): freeze imported objects and raise the thresholds.

    A batch makes tens of thousands of objects that all live to its end, so frequent collections find nothing.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # uvloop has no build for this platform
        return None
    return uvloop.new_event_loop


def _parse(service: Service, argv: Sequence[str]) -> str:
    parser = argparse.ArgumentParser(
        prog=f"python -m services.{service.name}",
        description=f"Runs a process of the {service.name} service until SIGTERM or Ctrl-C.",
        epilog="Settings come from the environment: HALFDAY_DATABASE_URL and HALFDAY_KAFKA_BOOTSTRAP are required, "
        "HALFDAY_HTTP_PORT by the api, HALFDAY_HEALTH_PORT by each for its operations pages; services/kit/settings.py "
        "has the others. "
        "PostgreSQL and Kafka may start later than this. Normally `./halfday up` starts it. "
        f"Example: HALFDAY_DATABASE_URL=postgresql://... python -m services.{service.name} api",
    )
    parser.add_argument(
        "role",
        choices=("api", "worker", "all"),
        help="api serves HTTP; worker runs consumers, relay and deadlines; all is both in one process, for trying out",
    )
    return str(parser.parse_args(argv[1:]).role)


async def _live(service: Service, role: str, settings: Settings) -> int:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runtime = Runtime(service, role, settings)
    work = asyncio.create_task(runtime.run(), name="work")
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
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
