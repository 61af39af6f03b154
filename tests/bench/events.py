"""Events as the services of this project publish them, made outside of them."""

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
from tests.bench.market import DAY, PRICE_FEN, Wish


def placed(wish: Wish) -> OrderPlaced:
    """The event of an order: 431 bytes or so."""
    lines = [
        OrderLine(line=n, item=item, quantity=q, price_fen=PRICE_FEN, price=f"{item}-app", amount_fen=PRICE_FEN * q)
        for n, (item, q) in enumerate(wish.lines.items(), 1)
    ]
    return OrderPlaced(
        order=wish.id,
        channel=Channel.APP,
        market_day=DAY,
        community=wish.pool.partition("@")[2],
        pool=wish.pool,
        lines=lines,
        total_fen=sum(line.amount_fen for line in lines),
        fulfilment=Fulfilment.PICKUP,
        payment=Payment.ON_ACCOUNT,
    )


def asked(wish: Wish) -> ReserveStock:
    """The command to reserve an order's goods."""
    return ReserveStock(
        reservation=reservation_of(wish.id, wish.pool, 1),
        pool=wish.pool,
        order=wish.id,
        lines=[GoodsLine(line=n, item=item, quantity=q) for n, (item, q) in enumerate(wish.lines.items(), 1)],
        firm=True,
    )


def envelope(event: Event, id: UUID, seq: int = 1) -> Envelope:
    """What orders would write around the event."""
    now, request = datetime.now(UTC), str(uuid4())
    return Envelope(id, event.TYPE, "orders", event.subject, now, seq, event.key, correlation=request)


def records(events: Iterable[Event]) -> Iterator[Sent]:
    """The events as records."""
    for event in events:
        headers = envelope(event, uuid4()).headers()
        yield event.key, encode(event), [(name, value.encode()) for name, value in headers.items()]
