"""Erasing the person of an order that has ended."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from services.kit.context import Context
from services.kit.http import problems
from services.kit.ids import Id
from services.orders.api import answers
from services.orders.api.order import FIRST, Limit, Operator
from services.orders.api.schemas.order import EraseIn
from services.orders.domain.order.order import TERMINAL
from services.orders.repository import erasure
from services.orders.repository.order import OrderRepository


def routes(context: Context) -> APIRouter:
    """`:erase`, and the list of what was erased."""
    router = APIRouter(tags=["orders"])

    @router.post("/v1/orders/{order}:erase")
    async def erase(order: Id, body: EraseIn, role: Operator) -> Response:
        """Forgets the person of an order that has ended, for ever: name, telephone number, door, code and notes.

        The order, its goods and its money stay. The same again is answered the same.
        """
        async with context.unit() as uow:
            book = OrderRepository(uow)
            await book.load_orders([order])
            found = book.orders.get(order)
            if found is None:
                raise problems.not_found(f"order {order}")
            if found.state not in TERMINAL:
                detail = f"order {order} is {found.state}: cancel it or wait for its end, then erase its person"
                raise problems.conflict(detail, "not-ended")
            return answers.json(await erasure.erase(uow, found, role, body.why))

    @router.get("/v1/erasures")
    async def erasures(_role: Operator, limit: Limit = 100, cursor: Id = FIRST) -> Response:
        """Orders whose person was erased, in order of id: what to erase again after an older backup was restored."""
        return answers.listed(await erasure.page(context.pool, cursor, limit), limit, "order_id")

    return router
