"""Events as the services of this project publish them, made outside of the services."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

from contracts.envelope import Envelope, Event
from contracts.events.inventory import ReserveStock
from contracts.events.orders import GoodsLine, OrderLine, OrderPlaced
from contracts.registry import encode
from contracts.values import Channel, Fulfilment, Payment, reservation_of
from tests.bench.log import Sent
from tests.bench.market import DAY, PRICE_FEN, SampleOrder


def placed(order: SampleOrder) -> OrderPlaced:
    """Return the event of an order, about 431 bytes."""
    lines = [
        OrderLine(line=n, item=item, quantity=q, price_fen=PRICE_FEN, price=f"{item}-app", amount_fen=PRICE_FEN * q)
        for n, (item, q) in enumerate(order.lines.items(), 1)
    ]
    return OrderPlaced(
        order=order.id,
        channel=Channel.APP,
        market_day=DAY,
        community=order.pool.partition("@")[2],
        pool=order.pool,
        lines=lines,
        total_fen=sum(line.amount_fen for line in lines),
        fulfilment=Fulfilment.PICKUP,
        payment=Payment.ON_ACCOUNT,
    )


def reserve_command(order: SampleOrder) -> ReserveStock:
    """Return the command that reserves an order's goods."""
    return ReserveStock(
        reservation=reservation_of(order.id, order.pool, 1),
        pool=order.pool,
        order=order.id,
        lines=[GoodsLine(line=n, item=item, quantity=q) for n, (item, q) in enumerate(order.lines.items(), 1)],
        firm=True,
    )


def envelope(event: Event, id: UUID, seq: int = 1) -> Envelope:
    """Return the envelope that orders would write."""
    now, request = datetime.now(UTC), str(uuid4())
    return Envelope(id, event.TYPE, "orders", event.subject, now, seq, event.key, correlation=request)


def records(events: Iterable[Event]) -> Iterator[Sent]:
    """Yield the events as records."""
    for event in events:
        headers = envelope(event, uuid4()).headers()
        yield event.key, encode(event), [(name, value.encode()) for name, value in headers.items()]
