"""The orders service that a simulated payment provider calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from contracts.events import inventory as i
from services.orders.app import SERVICE
from tests.integration.callers import Callers
from tests.integration.orders_world import Orders, open_orders
from tests.payment_simulator import PaymentSimulator
from tests.stack import TestStack
from tests.unit.orders_given import SLOT

TOTAL = 1200
"""The total of an order of `orders_world`, in fen."""


@pytest.fixture
def provider() -> PaymentSimulator:
    return PaymentSimulator()


@pytest.fixture
async def orders(
    stack: TestStack, provider: PaymentSimulator, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Orders]:
    monkeypatch.setenv("HALFDAY_PAYMENTS", provider.settings)
    async with open_orders(stack) as found:
        yield found


@pytest.fixture
def callers(orders: Orders) -> Callers:
    return Callers(SERVICE, orders.context)


async def post(orders: Orders, path: str, body: bytes, headers: dict[str, str]) -> int:
    return (await orders.client.post(path, content=body, headers=headers)).status_code


async def pay(orders: Orders, provider: PaymentSimulator, order: UUID, amount: int = TOTAL, **more: Any) -> int:
    call = provider.callback(provider.paid(order, amount, **more))
    return await post(orders, provider.path, call.body, call.headers)


async def held(orders: Orders) -> UUID:
    """A pending order with its stock held."""
    order = await orders.place(payment="pending")
    known = (await orders.context.store.find_orders([order]))[order][0]
    await orders.hear(
        i.StockReserved(
            reservation=known.reservation, pool=known.terms.pool, order=order, lines=[], firm=False, expires_at=SLOT
        )
    )
    assert await orders.state(order) == "held"
    return order


async def receipts(callers: Callers, state: str = "", **bounds: list[str]) -> list[dict[str, Any]]:
    query = f"?state={state}" if state else ""
    status, page = await callers.call("staff.finance", "GET", f"/receipts{query}", **bounds)
    assert status == 200, page
    return list(page["items"])


async def check_money(orders: Orders) -> None:
    """A receipt pays at most one order, and no order that has receipts is refunded more than was received for it."""
    rows = await orders.context.pool.fetch(
        "select pays, (select coalesce(sum(amount_fen), 0) from refund f where f.order_id = r.pays) as back, "
        "sum(amount_fen) as received from receipt r where state = 'matched' group by pays"
    )
    assert all(row["back"] <= row["received"] for row in rows), rows
    matched = await orders.context.pool.fetchval("select count(*) from receipt where state = 'matched'")
    paid = await orders.context.pool.fetchval(
        "select count(*) from receipt r join payment p on p.payment_id = r.provider || ':' || r.transaction_id"
    )
    assert matched == paid


async def ended(orders: Orders, order: UUID | None = None) -> UUID:
    """A cancelled order."""
    order = order or await orders.place(payment="pending")
    known = (await orders.context.store.find_orders([order]))[order][0]
    await orders.post(f"/v1/orders/{order}:cancel")
    await orders.hear(
        i.ReservationReleased(reservation=known.reservation, pool=known.terms.pool, order=order, quantity=0)
    )
    assert await orders.state(order) == "cancelled"
    return order
