"""A wave: a batch of jobs with a cutoff, and the choice of the wave that a job goes with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial

from contracts.events.catalog import WaveTerms
from contracts.events.dispatch import Quote
from services.dispatch.domain.job import Slot


class WaveState(StrEnum):
    """open: takes jobs; cut: is being planned; planned: has routes, which may still change; released: handed out;
    done: all jobs ended."""

    OPEN = "open"
    CUT = "cut"
    PLANNED = "planned"
    RELEASED = "released"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Wave:
    """A wave as it stands. `version` rises whenever a plan made before could be wrong now."""

    id: str
    market_day: str
    station: str
    slot_from: datetime
    slot_until: datetime
    cutoff: datetime
    capacity: int
    state: WaveState = WaveState.OPEN
    version: int = 1


def opened(market_day: str, terms: WaveTerms) -> Wave:
    """The wave that a market day brings."""
    return Wave(id=terms.id, market_day=market_day, **terms.model_dump(exclude={"id"}))


def retold(wave: Wave, terms: WaveTerms) -> Wave:
    """The wave on the market day's newer terms. Once it is cut the terms stand as they were."""
    if wave.state is not WaveState.OPEN:
        return wave
    return replace(wave, **terms.model_dump(exclude={"id"}))


def cut(wave: Wave) -> Wave:
    """Promised to nobody any more. Only an open wave changes."""
    return replace(wave, state=WaveState.CUT, version=wave.version + 1) if wave.state is WaveState.OPEN else wave


def planned(wave: Wave, version: int) -> Wave | None:
    """The wave with a plan, its first or another one, made on `version`; None where it has moved on since."""
    if wave.state not in {WaveState.CUT, WaveState.PLANNED} or wave.version != version:
        return None
    return replace(wave, state=WaveState.PLANNED, version=version + 1)


def released(wave: Wave) -> Wave:
    """Its routes are handed out. Only a planned wave changes."""
    return replace(wave, state=WaveState.RELEASED) if wave.state is WaveState.PLANNED else wave


def done(wave: Wave) -> Wave:
    """Every job of it has ended. Only a released wave changes."""
    return replace(wave, state=WaveState.DONE) if wave.state is WaveState.RELEASED else wave


def choose(
    waves: Iterable[Wave], taken: Mapping[str, int], station: str, now: datetime, quote: Quote | None = None
) -> Slot | str:
    """The slot for a job that starts at `station`: the quoted wave while it takes jobs, else the earliest that does.

    `waves` are those of the job's market day, `taken` the jobs that each has. With no slot left: why, in words.
    """
    here = [wave for wave in waves if wave.station == station]
    if not here:
        return f"no wave starts at station {station}"
    running = [wave for wave in here if wave.state is WaveState.OPEN and wave.cutoff > now]
    if not running:
        return "every wave is past its cutoff"
    free = [wave for wave in running if taken.get(wave.id, 0) < wave.capacity]
    if not free:
        return "every wave that still takes jobs is full"
    return slot_in(min(free, key=partial(_rank, quote)), quote)


def choose_late(
    waves: Iterable[Wave],
    taken: Mapping[str, int],
    station: str,
    now: datetime,
    quote: Quote | None = None,
    *,
    as_promised: bool = False,
    after: Wave | None = None,
) -> Wave | None:
    """The wave whose plan a job may still be fitted into: past its cutoff, not handed out, with room, its slot not yet
    begun; the quoted one, else the earliest; None where there is none.

    `as_promised` asks only those that keep the quote, `after` only those later than the one that has said no.
    """
    late = [
        wave
        for wave in waves
        if wave.station == station
        and (wave.state in {WaveState.CUT, WaveState.PLANNED} or (wave.state is WaveState.OPEN and wave.cutoff <= now))
        and now < wave.slot_from
        and taken.get(wave.id, 0) < wave.capacity
        and (slot_in(wave, quote).as_promised or not as_promised)
        and (after is None or (wave.slot_from, wave.id) > (after.slot_from, after.id))
    ]
    return min(late, key=partial(_rank, quote), default=None)


def slot_in(wave: Wave, quote: Quote | None) -> Slot:
    """The wave's slot for a job, and whether it is as early as the quote said."""
    kept = quote is None or wave.slot_until <= quote.slot_until
    return Slot(wave.id, wave.slot_from, wave.slot_until, as_promised=kept)


def plan_of(wave: str) -> str:
    """What a job waits for that shall be fitted into the wave's plan."""
    return f"wave/{wave}"


def _rank(quote: Quote | None, wave: Wave) -> tuple[bool, datetime, str]:
    return quote is None or wave.id != quote.wave, wave.slot_from, wave.id
