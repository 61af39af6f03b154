"""Erases the person of an order that has ended."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from contracts.events.orders import RecipientPut
from services.kit.context import Context
from services.kit.http import problems
from services.kit.transaction import erasure
from services.orders.domain.order.order import TERMINAL
from services.orders.repository import order as orders
from services.orders.repository import queries


async def erase_person(context: Context, id: UUID, role: str, why: str) -> dict[str, Any]:
    """Delete the recipient, code and notes of an order here, and tell dispatch to delete the recipient there.

    Returns when it was erased, by which role and why. Idempotent: the first record stays. Raises a 404 for an unknown
    order, and a 409 `not-ended` before its end.
    """
    async with context.unit() as uow:
        found = await orders.lock_orders(uow.conn, [id])
        if not found:
            raise problems.not_found(f"order {id}")
        (order,) = found
        if order.state not in TERMINAL:
            detail = f"order {id} is {order.state}: cancel it or wait for its end, then erase its person"
            raise problems.conflict(detail, "not-ended")
        await orders.erase_person(uow.conn, id, role, why)
        if order.terms.is_delivery and order.terms.code:  # an order without a code was erased before
            await erasure.forget(uow.conn, RecipientPut.TOPIC, [str(id)])
            uow.erase(RecipientPut.TOPIC, str(id))
        return await queries.erasure(uow.conn, id)
