"""A delivery job and its states."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from contracts.events.dispatch import DispatchCommand, Quote
from contracts.events.orders import GoodsLine
from contracts.values import job_of


class JobState(StrEnum):
    """The states of a job. `NEW` is a job that no command has named yet; it is never stored."""

    NEW = "new"
    INCOMPLETE = "incomplete"
    PLANNED = "planned"
    ASSIGNED = "assigned"
    LOADED = "loaded"
    DELIVERED = "delivered"
    RETURNED = "returned"
    REFUSED = "refused"
    CANCELLED = "cancelled"


HANDED_OUT = frozenset({JobState.ASSIGNED, JobState.LOADED})
ENDED = frozenset({JobState.DELIVERED, JobState.RETURNED, JobState.REFUSED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a wave; `as_promised` is false where the slot ends later than the quoted one."""

    wave: str
    slot_from: datetime
    slot_until: datetime
    as_promised: bool = True


@dataclass(frozen=True, slots=True)
class Job:
    """The delivery of one order under one reservation. `epoch` only grows and fences earlier couriers.

    `waits` lists the inputs that an incomplete job lacks: catalogue keys and `recipient`, or, once its `load_g` and
    `cold_ml` are known, `wave/<id>`: an answer from that wave's plan. `trip` and `stop` count from 1, `wrong_codes`
    counts in this epoch. A cancelled job without lines is a tombstone: the cancel arrived before the schedule.
    """

    id: UUID
    order: UUID
    pool: str
    reservation: UUID
    state: JobState = JobState.NEW
    market_day: str = ""
    community: str = ""
    lines: tuple[GoodsLine, ...] = ()
    quote: Quote | None = None
    waits: tuple[str, ...] = ()
    load_g: int = 0
    cold_ml: int = 0
    slot: Slot | None = None
    courier: str | None = None
    epoch: int = 0
    trip: int = 0
    stop: int = 0
    eta: datetime | None = None
    attempts: int = 0
    wrong_codes: int = 0
    reason: str = ""


def new_job(command: DispatchCommand) -> Job:
    """Return the job that a command names, as it is before its first message."""
    job = job_of(command.order, command.reservation)
    return Job(id=job, order=command.order, pool=command.pool, reservation=command.reservation)
