"""The tables of dispatch as the repository and the use cases see them.

A store works in the transaction that it was opened in and sees that transaction's writes; over a pool, each call is a
transaction of its own. Methods named `lock_*` hold their locks until the end. Locks are taken in one order everywhere:
catalogue, orders (their recipient rows), waves, jobs, each sorted by key. Each method is one statement a table for any
number of rows, and unknown keys are left out. `tests/contract/stores` runs the same cases against the implementation
in PostgreSQL and the one in memory that the simulation uses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from contracts.events.catalog import CatalogEvent
from services.dispatch.domain.catalog import Catalog
from services.dispatch.domain.courier import Attempt, Evidence, Shift
from services.dispatch.domain.job.job import Job, JobState
from services.dispatch.domain.recipient import Recipient
from services.dispatch.domain.wave import Wave
from services.dispatch.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A row of `plan`: the plan that was applied to a wave and gave it this version."""

    wave: str
    version: int
    body: Plan
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Changes:
    """The rows that a transaction writes. `erased` are orders about which the couriers' notes are erased."""

    entries: Collection[CatalogEvent] = ()
    recipients: Sequence[Recipient] = ()
    waves: Sequence[Wave] = ()
    jobs: Sequence[Job] = ()
    plans: Sequence[PlanRow] = ()
    attempts: Sequence[Attempt] = ()
    evidence: Sequence[Evidence] = ()
    erased: Collection[UUID] = ()


class StoredWave(NamedTuple):
    """A wave, the plan of its version, and the reason why it cannot be planned."""

    wave: Wave
    plan: Plan | None
    blocked: str | None


class WaveJob(NamedTuple):
    """A job as its wave's routing problem needs it; the position is None once the recipient is `erased`.

    A `late` job waits for the wave's plan and has the wave's slot.
    """

    id: UUID
    load_g: int
    cold_ml: int
    slot_from: datetime
    slot_until: datetime
    lat: float | None
    lon: float | None
    erased: bool
    late: bool


class CrewMember(NamedTuple):
    """A courier of a wave's station: the capacities as the catalogue has them, and the longest shift for the wave.

    Without a shift both times are None.
    """

    id: str
    capacity_g: str | None
    cold_ml: str | None
    from_at: datetime | None
    until_at: datetime | None


class RouteJob(NamedTuple):
    """A job of a courier's route; `released`: its wave is handed out; `shift_until`: the end of the courier's last
    shift for the wave or its market day, None where no shift is recorded.
    """

    job: Job
    recipient: Recipient
    released: bool
    shift_until: datetime | None


class WaveStore(Protocol):
    """Waves, jobs, plans and reports, and the copies of catalogue and recipients."""

    async def lock_catalog(self, *, exclusive: bool) -> None:
        """Lock the catalogue, exclusively to change it; shared locks exclude no other shared one."""

    async def lock_orders(self, orders: Collection[UUID]) -> list[Recipient]:
        """Lock the head rows of these orders in order of id; those that do not exist are inserted empty."""

    async def lock_waves(self, ids: Collection[str], market_days: Collection[str]) -> list[Wave]:
        """Lock these waves and all waves of these market days in order of id."""

    async def lock_jobs(self, ids: Collection[UUID]) -> list[Job]:
        """Lock these jobs in order of id."""

    async def lock_jobs_of_orders(self, orders: Collection[UUID]) -> list[Job]:
        """Lock the jobs of these orders in order of id."""

    async def lock_jobs_of_waves(self, waves: Collection[str]) -> list[Job]:
        """Lock the jobs of these waves and the jobs that wait for their plans, in order of id."""

    async def orders_waiting_for(self, entries: Collection[str]) -> list[UUID]:
        """Return the orders of incomplete jobs that wait for any of these catalogue keys."""

    async def incomplete_market_days(self, orders: Collection[UUID]) -> list[str]:
        """Return the market days of the incomplete jobs of these orders, each once."""

    async def count_jobs(self, waves: Collection[str]) -> Mapping[str, int]:
        """Return the number of jobs of each of these waves; a wave without jobs is left out."""

    async def read_catalog(self, keys: Collection[str]) -> Catalog:
        """Return the entries of these keys, and all sites and stations, as far as they have arrived.

        An entry that its contract cannot read counts as not arrived: jobs wait for its correction.
        """

    async def read_recipients(self, orders: Collection[UUID]) -> list[Recipient]:
        """Return the recipients of these orders."""

    async def save(self, changes: Changes) -> None:
        """Write all changes in the order of the locks. Entries, recipients, waves and jobs are inserted or replaced.

        Any change of a wave unblocks it. Raises a unique violation for a plan, attempt or evidence that exists.
        """

    async def record_shift(self, shift: Shift) -> Shift:
        """Insert a shift unless its id is taken; return the stored one."""

    async def claim_wave(self, real: datetime, lease: timedelta) -> Wave | None:
        """Claim the earliest cut wave that is free at this wall-clock time, for `lease`; None without one.

        The wave of a crashed worker is free again when its lease has passed. A wave that is locked is passed over.
        """

    async def block_wave(self, wave: Wave, reason: str, until: datetime) -> None:
        """Record why a cut wave cannot be planned, and do not offer it to `claim_wave` until this wall-clock time.

        A wave that has changed meanwhile stays as it is.
        """

    async def wave_with_late_jobs(self) -> str | None:
        """Return the earliest wave, planned or beyond, with late jobs waiting for its plan; None without one."""

    async def ended_waves(self) -> Sequence[str]:
        """Return released waves, at most 20 in order of id, that have no open job; decide again under the lock."""

    async def read_wave(self, id: str) -> StoredWave | None:
        """Return a wave with the plan of its version; None if it does not exist."""

    async def read_wave_jobs(self, wave: Wave, states: Collection[JobState], *, late: bool) -> list[WaveJob]:
        """Return the wave's jobs in these states and, with `late`, those that wait for its plan, in order of id."""

    async def read_crew(self, wave: Wave, crew: Collection[str]) -> list[CrewMember]:
        """Return the couriers of the wave's station that are on shift, and those of `crew`, in order of id.

        Where none is on shift, all couriers of the station are returned.
        """

    async def read_entry(self, key: str) -> Mapping[str, Any] | None:
        """Return a catalogue entry as it was received; None while it has not arrived."""

    async def read_route(self, courier: str) -> list[RouteJob]:
        """Return a courier's open jobs, and all its jobs of released waves, in the order of their times."""
