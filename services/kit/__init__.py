"""Shared runtime of the services, independent of the domain."""

import structlog

from services.kit.telemetry import redaction

# Until `telemetry.configure_logging` has run: structlog's default prints the variables of every frame.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redaction.exception,
        redaction.redact,
        structlog.dev.ConsoleRenderer(colors=False),
    ]
)
