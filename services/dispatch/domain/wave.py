"""A wave: a batch of jobs with a cutoff; its states, and the choice of a wave for a job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial

from contracts.events.catalog import WaveTerms
from contracts.events.dispatch import Quote
from services.dispatch.domain.job.job import Slot


class WaveState(StrEnum):
    """The states of a wave.

    open: takes jobs; cut: is being planned; planned: has routes, which may still change; released: its routes are
    handed out; done: all jobs have ended.
    """

    OPEN = "open"
    CUT = "cut"
    PLANNED = "planned"
    RELEASED = "released"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Wave:
    """A wave. `version` rises with every change that can make an earlier plan wrong."""

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
    """Return the open wave of a market day."""
    return Wave(id=terms.id, market_day=market_day, **terms.model_dump(exclude={"id"}))


def revised(wave: Wave, terms: WaveTerms) -> Wave:
    """Return the wave with the market day's newer terms; a wave that is no longer open keeps its old ones."""
    if wave.state is not WaveState.OPEN:
        return wave
    return replace(wave, **terms.model_dump(exclude={"id"}))


def cut(wave: Wave) -> Wave:
    """Return the wave closed for new promises. Only an open wave changes."""
    return replace(wave, state=WaveState.CUT, version=wave.version + 1) if wave.state is WaveState.OPEN else wave


def planned(wave: Wave, version: int) -> Wave | None:
    """Return the wave with a plan, its first or a newer one, made for `version`; None if the wave has changed since."""
    if wave.state not in {WaveState.CUT, WaveState.PLANNED} or wave.version != version:
        return None
    return replace(wave, state=WaveState.PLANNED, version=version + 1)


def released(wave: Wave) -> Wave:
    """Return the wave with its routes handed out. Only a planned wave changes."""
    return replace(wave, state=WaveState.RELEASED) if wave.state is WaveState.PLANNED else wave


def done(wave: Wave) -> Wave:
    """Return the wave with all jobs ended. Only a released wave changes."""
    return replace(wave, state=WaveState.DONE) if wave.state is WaveState.RELEASED else wave


def choose_slot(
    waves: Iterable[Wave], taken: Mapping[str, int], station: str, now: datetime, quote: Quote | None = None
) -> Slot | str:
    """Return the slot for a job that starts at `station`, or the reason, in words, why there is none.

    The quoted wave is chosen while it takes jobs, else the earliest that does. `waves` are those of the job's market
    day, `taken` counts the jobs of each.
    """
    at_station = [wave for wave in waves if wave.station == station]
    if not at_station:
        return f"no wave starts at station {station}"
    taking = [wave for wave in at_station if wave.state is WaveState.OPEN and wave.cutoff > now]
    if not taking:
        return "every wave is past its cutoff"
    free = [wave for wave in taking if taken.get(wave.id, 0) < wave.capacity]
    if not free:
        return "every wave that still takes jobs is full"
    return slot_in(min(free, key=partial(_rank, quote)), quote)


def choose_late_wave(
    waves: Iterable[Wave],
    taken: Mapping[str, int],
    station: str,
    now: datetime,
    quote: Quote | None = None,
    *,
    as_promised: bool = False,
    after: Wave | None = None,
) -> Wave | None:
    """Return the wave with a plan that a job may still be inserted into: the quoted one, else the earliest, else None.

    Such a wave is past its cutoff, not handed out, has free capacity, and its slot has not begun. `as_promised` limits
    the choice to waves that keep the quote, `after` to waves later than this one, which could not take the job.
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
    """Return the wave's slot for a job; it is as promised unless it ends later than the quoted one."""
    as_promised = quote is None or wave.slot_until <= quote.slot_until
    return Slot(wave.id, wave.slot_from, wave.slot_until, as_promised=as_promised)


def plan_key(wave: str) -> str:
    """Return the entry of `Job.waits` of a job that waits to be inserted into the wave's plan."""
    return f"wave/{wave}"


def _rank(quote: Quote | None, wave: Wave) -> tuple[bool, datetime, str]:
    return quote is None or wave.id != quote.wave, wave.slot_from, wave.id
