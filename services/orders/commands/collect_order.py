"""Handing over a pickup against its code, with a limit of wrong codes that outlives the failed request."""

from __future__ import annotations

from uuid import UUID

from services.kit.context import Context
from services.kit.http import problems
from services.kit.telemetry.metrics import CODES_LOCKED
from services.orders.domain.order.order import WRONG_CODE, Collect, Order
from services.orders.repository import code_tries
from services.orders.repository.order import OrderRepository

MOST = 5
"""Wrong codes that an order takes within an hour of real time."""


async def collect(context: Context, id: UUID, code: str) -> Order:
    """The order, collected. A wrong code is counted and is a 409; after `MOST` of them none counts, not even the right
    one, until an hour after the first or until an operator hands the goods over.
    """
    async with context.unit() as uow:
        book = OrderRepository(uow)
        await book.load_orders([id])
        now = uow.clock.real()
        if await code_tries.count(uow.conn, id, now) >= MOST:
            raise problems.conflict(
                f"{MOST} wrong codes were given for order {id} within an hour: let the desk hand it over, or try again "
                "an hour after the first of them",
                "needs-desk",
            )
        decision = book.apply(id, Collect(code))
        if decision is None:
            raise problems.not_found(f"order {id}")
        if decision.refused == WRONG_CODE and await code_tries.add(uow.conn, id, now) == MOST:
            CODES_LOCKED.inc()
        await book.save()
    if decision.refused:
        raise problems.conflict(decision.refused, "wrong-code" if decision.refused == WRONG_CODE else "conflict")
    return decision.order
