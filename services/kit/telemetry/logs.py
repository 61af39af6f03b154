"""Logs, and the metrics of HTTP and the event loop; `metrics` has those of messaging. Names begin with `halfday_`."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import orjson
import structlog
from prometheus_client import Gauge, Histogram

from services.kit.settings import Settings
from services.kit.telemetry import redaction
from services.kit.telemetry.sampling import Sampled

REQUESTS = Histogram("halfday_http_seconds", "Answered HTTP requests", ["method", "route", "status"])
LOOP_LAG = Gauge("halfday_loop_lag_seconds", "How late the event loop ran its last check")


def configure_logging(settings: Settings, service: str, role: str) -> None:
    """Write one log line an event to stdout, as JSON or for a console, for structlog and the standard library alike.

    Lines are redacted as `redaction` says; an error that ends the process is a line too.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redaction.exception,
        redaction.redact,
    ]
    final: Any = structlog.dev.ConsoleRenderer(colors=False)
    if settings.log == "json":
        final = structlog.processors.JSONRenderer(serializer=lambda v, **_: orjson.dumps(v, default=str).decode())
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    formatter = structlog.stdlib.ProcessorFormatter
    handler.setFormatter(formatter(foreign_pre_chain=shared, processors=[formatter.remove_processors_meta, final]))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for quiet in ("aiokafka", "faststream", "uvicorn", "asyncio"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
    sys.excepthook = _uncaught
    server = logging.getLogger("uvicorn.error")
    server.filters = [Sampled()]
    structlog.contextvars.bind_contextvars(service=service, role=role)


def _uncaught(_kind: Any, error: BaseException, _trace: Any) -> None:
    structlog.get_logger("halfday.process").critical("the process ends with an error", exc_info=error)


async def watch_loop(every: float = 0.5) -> None:
    """Measure the event loop's lag into `LOOP_LAG` until cancelled: a blocked loop misses Kafka's heartbeats."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every
        await asyncio.sleep(every)
        LOOP_LAG.set(max(0.0, loop.time() - due))
