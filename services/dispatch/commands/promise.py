"""Use case of a delivery promise: a signed quote of the earliest slot that can still be kept."""

from __future__ import annotations

from datetime import datetime

from contracts.events.dispatch import Quote
from services.dispatch.domain.job.job import Slot
from services.dispatch.domain.promise import sign_quote
from services.dispatch.domain.wave import choose_slot
from services.dispatch.repository import queries
from services.dispatch.settings import quote_keys
from services.kit.context import Context
from services.kit.http.problems import Problem, unavailable


async def promise(context: Context, community: str, market_day: str | None, at: datetime | None) -> Quote:
    """Return a quote for an order that a buyer in the community places `at` this time; a past time counts as now.

    The slot is the earliest of a wave that still takes jobs then, on `market_day` or on any. Raises a 404 `no-slot`
    problem with the reason if there is none, and 503 without a signing key or if the market day has not arrived.
    """
    keys = quote_keys()
    if not keys:
        raise unavailable(60, "HALFDAY_QUOTE_KEY is not set: this deployment cannot sign promises")
    now = context.clock.now()
    placed_at = max(at, now) if at else now
    catalog, waves, job_counts = await queries.promise_basis(context.pool, market_day, placed_at)
    days = queries.market_days(catalog)
    if market_day and not days:
        raise unavailable(1, f"market day {market_day} is not in dispatch's catalogue yet; retry shortly")
    slots: list[Slot] = []
    reason = f"no market day serves {community} at that time"
    for day in days:
        station = catalog.station_of(day.id, community)
        if station:
            chosen = choose_slot([w for w in waves if w.market_day == day.id], job_counts, station, placed_at)
            if isinstance(chosen, Slot):
                slots.append(chosen)
            else:
                reason = chosen
    if not slots:
        raise Problem(404, "no-slot", "No delivery slot", reason)
    earliest = min(slots, key=lambda slot: (slot.slot_from, slot.wave))
    return sign_quote(keys[0], community, next(wave for wave in waves if wave.id == earliest.wave))
