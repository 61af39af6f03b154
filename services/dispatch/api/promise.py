"""Delivery promises."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from contracts.events.dispatch import Quote
from contracts.values import Slug
from services.dispatch.api.common import CUSTOMER, Running
from services.dispatch.domain import promise
from services.dispatch.domain.job import Slot
from services.dispatch.domain.wave import choose
from services.dispatch.repository import queries
from services.dispatch.settings import quote_key
from services.kit.http.bounded import Instant
from services.kit.http.problems import Problem as Refusal
from services.kit.http.problems import unavailable

router = APIRouter(prefix="/v1", tags=["promises"])


@router.get("/promises", dependencies=[CUSTOMER])
async def promises(
    running: Running,
    community: Slug,
    market_day: Slug | None = None,
    at: Annotated[Instant | None, Query(description="when the order will be placed; now when absent")] = None,
) -> Quote:
    """A signed quote: the earliest slot that can still be kept, and until when. Send it with the order, whole.

    `at` is when the order will be placed, not when it is wanted; a time in the past counts as now. The slots are the
    waves of the market days, which `GET /v1/catalog/market-days` of orders lists.

    404 `no-slot` says why there is none. Without `market_day`: the earliest of all that are known.
    """
    key = quote_key()
    if key is None:
        raise unavailable(60, "This deployment has no key to sign promises with")
    now = max(at, running.clock.now()) if at else running.clock.now()
    catalog, waves, taken = await queries.promise_basis(running.pool, market_day, now)
    days = queries.market_days(catalog)
    if market_day and not days:
        raise unavailable(1, f"Market day {market_day} is not known here: it is on its way or does not exist")
    slots: list[Slot] = []
    reason = f"no market day serves {community} then"
    for day in days:
        station = catalog.station_of(day.id, community)
        if station:
            found = choose([w for w in waves if w.market_day == day.id], taken, station, now)
            if isinstance(found, Slot):
                slots.append(found)
            else:
                reason = found
    if not slots:
        raise Refusal(404, "no-slot", "No delivery slot", reason)
    best = min(slots, key=lambda slot: (slot.slot_from, slot.wave))
    return promise.quote(key, community, next(wave for wave in waves if wave.id == best.wave))
