"""The stock half of the shop of two services over Kafka: one record and one transaction per order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import NAMESPACE_OID, uuid5

from fastapi import FastAPI
from faststream.middlewares import AckPolicy

from tests.bench.peers import outbox, shop
from tests.bench.peers.wire import ANSWERED, DIRECT, PLACED, PREFIX, OrderPlaced, StockAnswered, make_broker

SCHEMA = (
    shop.STOCK
    + outbox.SCHEMA
    + """
create table if not exists inbox (id uuid primary key, at timestamptz not null default now());
create table if not exists reservation (order_id uuid primary key, pool text not null, granted boolean not null);
create table if not exists reservation_line (
    order_id uuid not null references reservation, item text not null, quantity bigint not null,
    primary key (order_id, item));
"""
)
broker = make_broker()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with shop.connections() as pool:
        app.state.pool = pool
        await broker.start()
        async with outbox.relaying(pool, broker, off=DIRECT):
            yield
        await broker.stop()


app = FastAPI(lifespan=lifespan)


@app.get("/ready")
async def ready() -> dict[str, bool]:
    return {"ready": True}


@broker.subscriber(
    PLACED, group_id=f"{PREFIX}inventory", ack_policy=AckPolicy.NACK_ON_ERROR, auto_offset_reset="earliest"
)
async def on_placed(event: OrderPlaced) -> None:
    """Reserve an order's goods, or answer that stock is short."""
    wanted = {line.item: line.quantity for line in event.lines}
    answer = None
    async with app.state.pool.acquire() as conn, conn.transaction():
        if await conn.fetchval(
            "insert into inbox (id) values ($1) on conflict do nothing returning true", event.event_id
        ):
            granted = await shop.reserve(conn, event.pool, wanted)
            await conn.execute(
                "insert into reservation (order_id, pool, granted) values ($1, $2, $3)",
                event.order_id,
                event.pool,
                granted,
            )
            await conn.execute(
                "insert into reservation_line (order_id, item, quantity) "
                "select $1, * from unnest($2::text[], $3::bigint[])",
                event.order_id,
                list(wanted),
                list(wanted.values()),
            )
            answer = StockAnswered(
                event_id=uuid5(NAMESPACE_OID, str(event.event_id)),
                order_id=event.order_id,
                pool=event.pool,
                reserved=granted,
            )
            if not DIRECT:
                await outbox.write(conn, ANSWERED, event.pool, answer)
    if answer and DIRECT:
        await broker.publish(answer, ANSWERED, key=event.pool.encode())


if __name__ == "__main__":
    shop.serve(app)
