"""Routes of orders: taking them, reading them, and what may be asked of one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from contracts.values import Slug
from services.kit.context import Context
from services.kit.http import problems
from services.kit.http.dependencies import IdempotencyKey, require
from services.kit.http.fast_path import FastPath
from services.kit.ids import Id, id_of_request
from services.orders.api import answers, batch
from services.orders.api.schemas import order as s
from services.orders.api.waiting import Waiting
from services.orders.commands import collect_order
from services.orders.commands.place_orders import Intake
from services.orders.domain.order import order as domain
from services.orders.domain.order.order import OrderState
from services.orders.repository import queries
from services.orders.repository.order import OrderRepository, find

FIRST = UUID(int=0)
TRUSTED = {"buyer", "operator"}
Reader = Annotated[str, Depends(require("buyer", "operator", "leader", "terminal", "courier"))]
buyer = require("buyer", "operator")
Buyer = Annotated[str, Depends(buyer)]
Leader = Annotated[str, Depends(require("leader", "operator"))]
Collector = Annotated[str, Depends(require("buyer", "leader", "operator"))]
Operator = Annotated[str, Depends(require("operator"))]
Limit = Annotated[int, Query(ge=1, le=500)]
Ask = Callable[[UUID, Any, str], Coroutine[Any, Any, Response]]


async def _place(body: s.NewOrder, intake: Intake, key: str | None) -> Response:
    order = await intake.submit(id_of_request(key, body.order_id), body)
    return answers.json(s.accepted(order), 201, {"Location": f"/v1/orders/{order.id}"})


FAST_PATH = FastPath("/v1/orders", s.NewOrder, buyer, lambda body, app, _role, key: _place(body, app.intake, key))


def routes(context: Context, intake: Intake) -> APIRouter:
    """Everything under `/v1/orders`."""
    router = APIRouter(tags=["orders"])
    _taking(router, intake)
    _reading(router, context, Waiting(context.pool))
    _asking(router, context, _ask(context))
    return router


def _taking(router: APIRouter, intake: Intake) -> None:
    @router.post("/v1/orders", status_code=201)
    async def place(body: s.NewOrder, _role: Buyer, key: IdempotencyKey = None) -> Response:
        """Takes an order: 201 once it is recorded durably, with its frozen prices. The same again: the same answer.

        `code` is for the buyer alone, here and in `GET /v1/orders/{order}`: told to the courier at the door, or shown
        at the pickup point.
        """
        return await _place(body, intake, key)

    @router.post("/v1/orders:batch", max_body_size=batch.BODY_LIMIT)
    async def place_many(request: Request, _role: Buyer, key: IdempotencyKey = None) -> Response:
        """Takes up to 1 000 orders, a JSON array or NDJSON: one answer for each, in order."""
        items = batch.split(await request.body())
        return answers.json({"answers": await batch.take(intake, items, key, request.url.path)})


def _reading(router: APIRouter, context: Context, waiting: Waiting) -> None:
    @router.get("/v1/orders")
    async def orders(
        _role: Operator,
        state: OrderState | None = None,
        market_day: Slug | None = None,
        limit: Limit = 100,
        cursor: Id = FIRST,
    ) -> Response:
        """Orders in order of id, those of a state and of a market day where given."""
        found = await queries.page(context.pool, state, market_day, cursor, limit)
        return answers.listed(found, limit, "order_id")

    @router.get("/v1/orders/{order}")
    async def order(
        request: Request, order: Id, role: Reader, wait: Annotated[float, Query(ge=0, le=2)] = 0
    ) -> Response:
        """An order as it stands; `wait` seconds (2 at most) for it to leave `placed`."""
        found = await _find(context, order)
        if wait and found.state is OrderState.PLACED:
            await waiting.answered(order, wait)
            found = await _find(context, order)
        trusted = role in TRUSTED
        person = await queries.person(context.pool, order) if trusted else None
        return answers.tagged(request, s.shown(found, person, trusted=trusted), found.version, personal=trusted)

    @router.get("/v1/orders/{order}/history")
    async def history(order: Id, role: Reader) -> Response:
        """Every step of an order with its cause; a note for buyer and operator only."""
        steps = await queries.history(context.pool, order, notes=role in TRUSTED)
        if not steps:
            raise problems.not_found(f"order {order}")
        return answers.json({"order_id": order, "steps": steps}, headers=answers.NO_STORE if role in TRUSTED else None)


def _asking(router: APIRouter, context: Context, ask: Ask) -> None:
    @router.post("/v1/orders/{order}:cancel")
    async def cancel(order: Id, role: Buyer, body: s.CancelIn | None = None) -> Response:
        """Ends an order that is not on its way yet; its state says how far that has come."""
        return await ask(order, body.ask() if body else domain.Cancel(), role)

    @router.post("/v1/orders/{order}:pay")
    async def pay(order: Id, body: s.PayIn, role: Buyer) -> Response:
        """Money came. Kept, or given back where the order has ended or was paid already; never lost."""
        return await ask(order, domain.Paid(body.payment_id, body.amount_fen), role)

    @router.post("/v1/orders/{order}:refund")
    async def refund(order: Id, role: Operator) -> Response:
        """Gives back what was paid of an order that has ended, once."""
        return await ask(order, domain.Refund(), role)

    @router.post("/v1/orders/{order}:ready")
    async def ready(order: Id, role: Leader) -> Response:
        """A pickup lies at its point."""
        return await ask(order, domain.Ready(), role)

    @router.post("/v1/orders/{order}:collect")
    async def collect(order: Id, body: s.CollectIn, role: Collector) -> Response:
        """A pickup is handed over against its code. 409 `needs-desk` after five wrong codes within an hour; an
        operator, who sees the code, is not limited.
        """
        if role != "operator":
            return _standing(await collect_order.collect(context, order, body.code), role)
        return await ask(order, domain.Collect(body.code), role)


def _ask(context: Context) -> Ask:
    async def ask(order: UUID, message: Any, role: str) -> Response:
        async with context.unit() as uow:
            book = OrderRepository(uow)
            await book.load_orders([order])
            decision = book.apply(order, message)
            if decision is None:
                raise problems.not_found(f"order {order}")
            if decision.refused:
                raise problems.conflict(decision.refused)
            await book.save()
        return _standing(decision.order, role)

    return ask


def _standing(after: domain.Order, role: str) -> Response:
    view = s.shown(after, None, trusted=role in TRUSTED)
    view.pop("recipient", None)
    return answers.json(view, headers={"ETag": f'"{after.version}"'})


async def _find(context: Context, order: UUID) -> domain.Order:
    found = await find(context.pool, [order])
    if order not in found:
        raise problems.not_found(f"order {order}")
    return found[order][0]
