"""The names of the services that the simulation replaces, and their installation."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from services.kit import ids
from services.kit.consumer import processor, subscription, sweeper
from services.kit.http import group_commit, grouped_command
from services.kit.relay import relay
from tests.simulation import inventory_tables, kit_tables
from tests.simulation.log import Publisher, RelayConnection
from tests.simulation.memory import Database
from tests.simulation.processes import World
from tests.simulation.shims import Asyncio, Ids, Time

Seam = tuple[Any, str, Any]
TABLES: tuple[Seam, ...] = (
    *kit_tables.SEAMS,
    *inventory_tables.SEAMS,
)


POINTS = (subscription, sweeper, processor, grouped_command, relay)
"""Modules with named crash points."""


def world_seams(world: World, dbs: dict[str, Database], new_ids: Ids) -> tuple[Seam, ...]:
    """Return the replacements of time, randomness, ids and connections."""
    asyncio = Asyncio(world.scheduler)
    time = Time(world.scheduler)

    async def connect(_settings: Any) -> RelayConnection:
        return RelayConnection(dbs[world.scheduler.current.process.service.name])  # type: ignore[union-attr]

    def publisher(_settings: Any) -> Publisher:
        return Publisher(world.log, world.scheduler, lambda: world.faults.publish_failure)

    return (
        *((module, "asyncio", asyncio) for module in (processor, relay, group_commit)),
        *((module, "random", world.rng) for module in (processor, relay)),
        *((module, "time", time) for module in (processor, relay)),
        *((module, "point", world.point) for module in POINTS),
        (ids, "uuid_utils", new_ids),
        (relay, "connect", connect),
        (relay, "Publisher", publisher),
    )


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
