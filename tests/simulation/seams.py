"""The names of the services that the simulation replaces, and their installation."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import structlog
import uuid_utils

from services.kit import ids
from tests.simulation.processes import World

Seam = tuple[Any, str, Any]
TABLES: tuple[Seam, ...] = ()


def world_seams(world: World) -> tuple[Seam, ...]:
    """Return the replacement of ids."""
    return ((ids, "uuid_utils", SimpleNamespace(uuid7=world.ids.new_id, uuid5=uuid_utils.uuid5)),)


@contextmanager
def installed(seams: Iterable[Seam]) -> Iterator[None]:
    """Install the replacements for the duration of the block, and silence the log."""
    originals: list[Seam] = []
    logging_before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        for owner, name, stand_in in seams:
            originals.append((owner, name, getattr(owner, name)))
            setattr(owner, name, stand_in)
        yield
    finally:
        for owner, name, real in reversed(originals):
            setattr(owner, name, real)
        structlog.configure(**logging_before)
