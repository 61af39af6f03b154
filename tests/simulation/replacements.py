"""Installs seeded bugs: parts of the product that are replaced by faulty ones. Nothing else is replaced by name."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog

Replacement = tuple[Any, str, Any]


@contextmanager
def installed(replacements: Iterable[Replacement]) -> Iterator[None]:
    """Install the replacements for the duration of the block, and silence the log."""
    originals: list[Replacement] = []
    logging_before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        for owner, name, stand_in in replacements:
            originals.append((owner, name, getattr(owner, name)))
            setattr(owner, name, stand_in)
        yield
    finally:
        for owner, name, real in reversed(originals):
            setattr(owner, name, real)
        structlog.configure(**logging_before)
