"""One service, one database, one transaction for an order: idempotency key, stock, order and lines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response

from tests.bench.peers import shop


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with shop.connections() as pool:
        app.state.pool, app.state.prices = pool, await shop.prices_of(pool)
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/ready")
async def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post("/v1/orders", status_code=201)
async def place(order: shop.NewOrder) -> Response:
    """Accept an order and reserve its goods, or refuse it: 409 if stock is short."""
    async with app.state.pool.acquire() as conn, conn.transaction():
        if not await shop.claim(conn, order):
            row = await conn.fetchrow("select total_fen, state from orders where id = $1", order.order_id)
            total, state = row["total_fen"], row["state"]
        else:
            state = "reserved" if await shop.reserve(conn, order.pool, order.wanted()) else "rejected"
            total = await shop.insert(conn, order, app.state.prices, state)
    status = 201 if state == "reserved" else 409
    return Response(shop.answer(order, total, state), status, media_type="application/json")


if __name__ == "__main__":
    shop.serve(app)
