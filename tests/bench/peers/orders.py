"""The orders half of a shop of two services over Kafka: FastAPI, FastStream and asyncpg, one transaction per message.

`STYLE=outbox` writes events in the order's transaction, and a relay that polls every 200 ms publishes them;
`STYLE=direct` publishes right after the commit, which is fast and loses events when it is killed in between.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from faststream.middlewares import AckPolicy

from tests.bench.peers import outbox, shop
from tests.bench.peers.wire import ANSWERED, DIRECT, PLACED, PREFIX, OrderPlaced, StockAnswered, Wanted, make_broker

SCHEMA = (
    shop.SCHEMA
    + outbox.SCHEMA
    + "create table if not exists inbox (id uuid primary key, at timestamptz not null default now());"
)
broker = make_broker()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with shop.connections() as pool:
        app.state.pool, app.state.prices = pool, await shop.prices_of(pool)
        await broker.start()
        async with outbox.relaying(pool, broker, off=DIRECT):
            yield
        await broker.stop()


app = FastAPI(lifespan=lifespan)


@app.get("/ready")
async def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post("/v1/orders", status_code=201)
async def place(order: shop.NewOrder) -> Response:
    """Accept an order; its goods are reserved later."""
    async with app.state.pool.acquire() as conn, conn.transaction():
        new = await shop.claim(conn, order)
        if new:
            total = await shop.insert(conn, order, app.state.prices, "placed")
            event = OrderPlaced(
                event_id=order.order_id,
                order_id=order.order_id,
                pool=order.pool,
                community=order.community,
                channel=order.channel,
                total_fen=total,
                lines=[Wanted(item=item, quantity=quantity) for item, quantity in order.wanted().items()],
            )
            if not DIRECT:
                await outbox.write(conn, PLACED, order.pool, event)
        else:
            total = await conn.fetchval("select total_fen from orders where id = $1", order.order_id)
    if new and DIRECT:
        await broker.publish(event, PLACED, key=order.pool.encode())
    return Response(shop.answer(order, total, "placed"), 201, media_type="application/json")


@broker.subscriber(
    ANSWERED, group_id=f"{PREFIX}orders", ack_policy=AckPolicy.NACK_ON_ERROR, auto_offset_reset="earliest"
)
async def on_answer(event: StockAnswered) -> None:
    """Record the answer about stock."""
    async with app.state.pool.acquire() as conn, conn.transaction():
        if await conn.fetchval(
            "insert into inbox (id) values ($1) on conflict do nothing returning true", event.event_id
        ):
            state = "reserved" if event.reserved else "rejected"
            await conn.execute("update orders set state = $2 where id = $1", event.order_id, state)


if __name__ == "__main__":
    shop.serve(app)
