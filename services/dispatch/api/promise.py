"""Route of delivery promises."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from contracts.events.dispatch import Quote
from contracts.values import Slug
from services.dispatch.api.callers import Customer
from services.dispatch.commands.promise import promise
from services.kit.http.bounded import Instant
from services.kit.http.dependencies import Running

router = APIRouter(prefix="/v1", tags=["promises"])


@router.get("/promises")
async def read_promise(
    context: Running,
    _caller: Customer,
    community: Slug,
    market_day: Slug | None = None,
    at: Annotated[Instant | None, Query(description="time at which the order will be placed; default: now")] = None,
) -> Quote:
    """Return a signed quote: the earliest slot that can still be kept, and until when. Send it unchanged in the order.

    `at` is the time at which the order will be placed, not the desired delivery time; a past time counts as now. The
    slots are the waves of the market days, which `GET /v1/catalog/market-days` of orders lists; without `market_day`
    all of them are considered.

    404 `no-slot` gives the reason why there is none.
    """
    return await promise(context, community, market_day, at)
