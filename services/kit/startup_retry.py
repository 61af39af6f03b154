"""Retries a dependency at start-up with capped back-off; logs at most once a second."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina
import structlog

T = TypeVar("T")
_log = structlog.get_logger("halfday.start")
stamina.instrumentation.set_on_retry_hooks([])  # this module writes the log lines


async def wait_for(what: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """Return the first result of `attempt`, however long that takes: an error is logged and the attempt is repeated.

    Waits 0.1 s at first, then at most 1 s. Programming errors (TypeError, AttributeError ...) pass through.
    """
    began, spoke = time.monotonic(), 0.0
    async for again in stamina.retry_context(
        on=_worth_repeating, attempts=None, timeout=None, wait_initial=0.1, wait_max=1.0, wait_jitter=0.1
    ):
        with again:
            try:
                return await attempt()
            except Exception as error:
                now = time.monotonic()
                if now - spoke >= 1.0:
                    spoke = now
                    _log.info("waiting", what=what, reason=one_line(error), seconds=round(now - began, 1))
                raise
    raise AssertionError("unreachable: there is no last attempt")


def one_line(error: BaseException) -> str:
    """Return the error as one line of text: its message, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def _worth_repeating(error: Exception) -> bool:
    return not isinstance(error, TypeError | AttributeError | NameError | AssertionError)
