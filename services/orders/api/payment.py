"""The routes of payments: callbacks of providers, and the receipts that they leave."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from services.kit.http import responses
from services.kit.http.dependencies import Cursor, Limit
from services.orders.api.callers import Accountant, Orders
from services.orders.api.schemas import payment_views as views
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
    state: Literal["matched", "unmatched", "conflict"] | None = None,
    limit: Limit = 100,
    cursor: Cursor = 0,
) -> Response:
    """List the receipts of payment providers in order of arrival: `unmatched` ones that no order takes, with the
    reason, and those in `conflict` with other contents under the same transaction. A caller with bounds sees those of
    orders in its communities.
    """
    found = await queries.receipts(app.context.pool, state, caller.bounds.communities, cursor, limit)
    return responses.page(found, limit, "n")
