"""Where the real services meet the simulated world: every name that is replaced, and for how long."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import structlog

from services.dispatch import desk
from services.dispatch.planning import standing
from services.kit import batcher, consumer, deadlines, handling, ids, relay, unit_of_work
from services.orders.api import intake, joining
from services.orders.repository import campaign_book
from tests.simulation import campaign_tables, dispatch_tables, inventory_tables, kit_tables, orders_tables
from tests.simulation.log import Publisher, RelayConnection
from tests.simulation.memory import Database
from tests.simulation.processes import World
from tests.simulation.road import Planner, fitted
from tests.simulation.shims import Asyncio, Ids, Time

Seam = tuple[Any, str, Any]
TABLES: tuple[Seam, ...] = (
    *kit_tables.SEAMS,
    *orders_tables.SEAMS,
    *campaign_tables.SEAMS,
    *inventory_tables.SEAMS,
    *dispatch_tables.SEAMS,
)


POINTS = (consumer, deadlines, handling, intake, joining, campaign_book, relay, unit_of_work)
"""Modules with named crash points."""


def of_world(world: World, dbs: dict[str, Database], new_ids: Ids, made: random.Random) -> tuple[Seam, ...]:
    """Time, chance, ids and the outside: `made` is the chance that codes come from."""
    asyncio = Asyncio(world.scheduler)
    time = Time(world.scheduler)

    async def connect(_settings: Any) -> RelayConnection:
        return RelayConnection(dbs[world.scheduler.current.home.service.name])  # type: ignore[union-attr]

    def publisher(_settings: Any) -> Publisher:
        return Publisher(world.log, world.scheduler, lambda: world.faults.unsent)

    return (
        *((module, "asyncio", asyncio) for module in (handling, relay, batcher, desk)),
        *((module, "random", world.rng) for module in (handling, relay)),
        *((module, "time", time) for module in (handling, relay)),
        *((module, "point", world.point) for module in POINTS),
        (ids, "uuid_utils", new_ids),
        (intake, "secrets", SimpleNamespace(randbelow=made.randrange, token_bytes=made.randbytes)),
        (campaign_book, "PART", 3),  # so that settling has a middle
        (relay, "connect", connect),
        (relay, "Publisher", publisher),
        (desk, "planner", Planner(world)),
        (standing, "fitted", fitted),
    )


@contextmanager
def installed(seams: Iterable[Seam]) -> Iterator[None]:
    """The replacements stand inside the block, and nothing is logged there."""
    kept: list[Seam] = []
    logging_before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        for owner, name, stand_in in seams:
            kept.append((owner, name, getattr(owner, name)))
            setattr(owner, name, stand_in)
        yield
    finally:
        for owner, name, real in reversed(kept):
            setattr(owner, name, real)
        structlog.configure(**logging_before)
