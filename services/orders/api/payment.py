"""The routes of payments: callbacks of providers, and the receipts that they leave."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from services.kit.http import responses
from services.kit.http.dependencies import Cursor, Limit
from services.orders.api.callers import Accountant, Orders
from services.orders.api.schemas import order_views
from services.orders.api.schemas import payment_views as views
from services.orders.api.schemas.payment import AssignIn
from services.orders.commands.payment import assign_receipt
from services.orders.domain.access import may_assign
from services.orders.repository import queries

router = APIRouter(tags=["payments"])

CALLBACK_LIMIT = 16 * 1024
"""Bytes of a callback; those of providers have one or two thousand."""


@router.post(
    "/v1/payments/{provider}/callbacks", status_code=204, response_class=Response, max_body_size=CALLBACK_LIMIT
)
async def callback(provider: Annotated[str, Path(max_length=64)], request: Request, app: Orders) -> Response:
    """Take a payment provider's callback about a payment. It needs no access token: the provider's signature over the
    bytes of the body is the credential, checked before anything of it is parsed.

    204 once the payment is stored durably, whether an order takes it or not, and also for a repeat, a contradiction or
    a callback about something else: the provider has nothing to repeat then. 401 for an unknown provider or a wrong
    signature, 422 for content that can't be read, 503 where the outcome is unknown.
    """
    await app.receive_payment(provider, request.headers, await request.body())
    return Response(status_code=204)


@router.get("/v1/receipts", response_model=views.ReceiptPage)
async def receipts(
    app: Orders,
    caller: Accountant,
    state: Literal["matched", "unmatched", "conflict", "excess"] | None = None,
    limit: Limit = 100,
    cursor: Cursor = 0,
) -> Response:
    """List the receipts of payment providers in order of arrival: `unmatched` ones that no order takes, with the
    reason, those in `conflict` with other contents under the same transaction, and those in `excess` of their order. A
    caller with bounds sees those of orders in its communities.
    """
    found = await queries.receipts(app.context.pool, state, caller.bounds.communities, cursor, limit)
    return responses.page(found, limit, "n")


@router.post("/v1/receipts/{provider}/{transaction}:assign", response_model=order_views.OrderView)
async def assign(
    provider: Annotated[str, Path(max_length=16)],
    transaction: Annotated[str, Path(max_length=47)],
    body: AssignIn,
    app: Orders,
    caller: Accountant,
) -> Response:
    """Let an order take an unmatched receipt of its total, as if the provider had named it. Idempotent; for callers
    without bounds, because such a receipt belongs to no community.
    """
    key = (provider, transaction)
    order = await assign_receipt(app.context, key, body.order_id, caller, may_assign)
    return responses.json(order_views.order_view(order, trusted=False), headers={"ETag": f'"{order.version}"'})
