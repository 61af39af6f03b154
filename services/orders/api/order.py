"""The routes of orders: place, read, cancel, pay, refund, mark ready, collect, erase."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from contracts.scopes import Scope
from contracts.values import LOCAL_KIND, Principal, Slug
from services.kit.http import problems, responses
from services.kit.http.authentication import HOLDER, VISITOR
from services.kit.http.dependencies import IdempotencyKey, Limit
from services.kit.http.fast_path import FastPath
from services.kit.ids import Id
from services.kit.transaction.access_log import Shown, log_reading
from services.orders.api import batch
from services.orders.api.callers import (
    FIRST,
    Accountant,
    Anyone,
    Buyer,
    Collector,
    Eraser,
    OrderManager,
    Orders,
    Payer,
    PointLeader,
    buyer,
)
from services.orders.api.schemas import order as s
from services.orders.api.schemas import order_views as views
from services.orders.commands.order import change_order, collect_order, erase_person
from services.orders.domain import capability
from services.orders.domain.access import (
    is_owner,
    may_account,
    may_cancel,
    may_hand_over,
    may_read,
    sees_member,
    sees_person,
)
from services.orders.domain.order.order import TERMINAL, Cancel, Collect, Order, OrderState, Paid, Ready, Refund
from services.orders.repository import queries
from services.orders.repository.store import OrderStore

router = APIRouter(tags=["orders"])


@router.post("/v1/orders", status_code=201, response_model=views.OrderAccepted, openapi_extra=VISITOR)
async def place(body: s.NewOrder, app: Orders, caller: Buyer, key: IdempotencyKey = None) -> Response:
    """Place an order: 201 once it is stored durably, with its frozen prices. The same request again gets the same
    answer.

    `code` is for the buyer only, here and in `GET /v1/orders/{order}`: the receiver gives it to the courier at the
    door, or shows it at the pickup point.

    A client without an account sends no token but its `owner_digest`, with `payment: pending`. The answer, and each
    repeat, has the `capability` of the order: sent as `Authorization: Capability SECRET` it reads and cancels this one
    order, until 30 days after its end.
    """
    command = body.command(key, caller)
    order = await app.place_orders.submit(command)
    view = views.accepted(order)
    if body.owner_digest is not None:
        view = views.with_capability(view, app.capability_key)
    return responses.json(view, 201, {"Location": f"/v1/orders/{command.id}"})


FAST_PATH = FastPath("/v1/orders", s.NewOrder, buyer, place)


@router.post("/v1/orders:batch", max_body_size=batch.BODY_LIMIT, response_model=views.Answers)
async def place_many(request: Request, app: Orders, caller: Buyer, key: IdempotencyKey = None) -> Response:
    """Place up to 1 000 orders, sent as a JSON array or NDJSON: one answer for each, in order."""
    items = batch.split(await request.body())
    return responses.json({"answers": await batch.place(app, items, caller, key, request.url.path)})


@router.get("/v1/orders", response_model=views.OrderPage)
async def listing(
    app: Orders,
    caller: OrderManager,
    state: OrderState | None = None,
    market_day: Slug | None = None,
    limit: Limit = 100,
    cursor: Id = FIRST,
) -> Response:
    """List orders of the caller's communities in order of id; those of a state and of a market day where given."""
    found = await queries.orders(app.context.pool, state, market_day, caller.bounds.communities, cursor, limit)
    return responses.page(found, limit, "order_id")


@router.get("/v1/orders/{order}", response_model=views.OrderView, openapi_extra=HOLDER)
async def one(
    request: Request, app: Orders, order: Id, caller: Anyone, wait: Annotated[float, Query(ge=0, le=2)] = 0
) -> Response:
    """Return an order in its current state; waits up to `wait` seconds for it to leave `placed`."""
    found = await _find(app, order, caller)
    if wait and found.state is OrderState.PLACED:
        await app.await_answer(order, wait)
        found = await _find(app, order, caller)
    member = views.with_member(found, shown=sees_member(caller, found.terms.community))
    if not sees_person(caller, found.terms):
        return responses.etag(request, {**views.order_view(found, trusted=False), **member}, found.version)
    async with app.context.unit() as uow:
        recipient = await queries.recipient(uow.conn, order)
        view = views.with_recipient(found, recipient)
        answer = responses.etag(request, {**view, **member}, found.version, cache=responses.NO_STORE)
        if answer.body:
            own = is_owner(caller, found.terms)  # who waits for an own order polls it
            await log_reading(uow, caller, "order", {order: views.shown_by(view)}, hourly=own)
    return answer


@router.get("/v1/orders/{order}/history", response_model=views.OrderHistory, openapi_extra=HOLDER)
async def history(app: Orders, order: Id, caller: Anyone) -> Response:
    """Return every step of an order with its cause; its note for those who may see the person only."""
    trusted = sees_person(caller, (await _find(app, order, caller)).terms)
    async with app.context.unit() as uow:
        steps = await queries.order_history(uow.conn, order, trusted=trusted)
        has_notes = any(step.get("note") for step in steps)
        await log_reading(uow, caller, "history", {order: {Shown.NOTE} if has_notes else ()})
    headers = {"Cache-Control": responses.NO_STORE} if trusted else None
    return responses.json({"order_id": order, "steps": steps}, headers=headers)


@router.post("/v1/orders/{order}:cancel", response_model=views.OrderView, openapi_extra=HOLDER)
async def cancel(app: Orders, order: Id, caller: Buyer, body: s.CancelIn | None = None) -> Response:
    """Cancel an order that is not on its way yet; its state shows the progress of the cancellation."""
    if caller.kind == capability.KIND:
        await _find(app, order, caller)
    request = body.request() if body else Cancel()
    return _changed(await change_order(app.context, order, request, caller, may_cancel), caller)


@router.post("/v1/orders/{order}:pay", response_model=views.OrderView)
async def pay(app: Orders, order: Id, body: s.PayIn, caller: Payer) -> Response:
    """Record a payment. One that the order does not need, because it has ended or was paid already, is a 409: only what
    a provider's callback reports is given back, and what the local tokens of tests say.
    """
    paid = Paid(body.payment_id, body.amount_fen, has_receipt=caller.kind == LOCAL_KIND)
    return _changed(await change_order(app.context, order, paid, caller, may_account), caller)


@router.post("/v1/orders/{order}:refund", response_model=views.OrderView)
async def refund(app: Orders, order: Id, caller: Accountant) -> Response:
    """Refund the payments of an order that has ended. Idempotent."""
    return _changed(await change_order(app.context, order, Refund(), caller, may_account), caller)


@router.post("/v1/orders/{order}:ready", response_model=views.OrderView)
async def ready(app: Orders, order: Id, caller: PointLeader) -> Response:
    """Mark a pickup as arrived at its point. Idempotent."""
    return _changed(await change_order(app.context, order, Ready(), caller, may_hand_over), caller)


@router.post("/v1/orders/{order}:collect", response_model=views.OrderView)
async def collect(app: Orders, order: Id, body: s.CollectIn, caller: Collector) -> Response:
    """Hand a pickup over against its code. 409 `needs-desk` after five wrong codes within an hour; an operator, who
    sees the code, is not limited.
    """
    if caller.may(Scope.ORDER_MANAGE):
        return _changed(await change_order(app.context, order, Collect(body.code), caller, may_hand_over), caller)
    return _changed(await collect_order(app.context, order, body.code, caller, may_hand_over), caller)


@router.post("/v1/orders/{order}:erase", response_model=views.Erasure)
async def erase(app: Orders, order: Id, body: s.EraseIn, caller: Eraser) -> Response:
    """Delete the personal data of an order that has ended, permanently: name, phone, address, code and notes.

    The order, its goods and its money stay. Idempotent: the first time, caller and reason are returned.
    """
    return responses.json(await erase_person(app.context, order, body.why, caller, may_account))


@router.get("/v1/erasures", response_model=views.ErasurePage)
async def erasures(app: Orders, _caller: Eraser, limit: Limit = 100, cursor: Id = FIRST) -> Response:
    """List orders with an erased person, in order of id: erase them again after restoring an older backup."""
    return responses.page(await queries.erasures(app.context.pool, cursor, limit), limit, "order_id")


def _changed(order: Order, caller: Principal) -> Response:
    """Return an order after a change, without its recipient."""
    view = views.order_view(order, trusted=sees_person(caller, order.terms))
    return responses.json(view, headers={"ETag": f'"{order.version}"', "Cache-Control": responses.NO_STORE})


async def _find(app: Orders, id: UUID, caller: Principal) -> Order:
    store: OrderStore = app.context.store
    order, _ = (await store.find_orders([id])).get(id, (None, b""))
    if order is None or not may_read(caller, order.terms) or await _has_lapsed(app, order, caller):
        raise problems.not_found(f"order {id}")
    return order


async def _has_lapsed(app: Orders, order: Order, caller: Principal) -> bool:
    """Return True for the holder of a capability, if the order ended too long ago."""
    if caller.kind != capability.KIND or order.state not in TERMINAL:
        return False
    ended_at = await queries.last_step(app.context.pool, order.id)
    return capability.has_lapsed(ended_at, app.context.clock.now())
