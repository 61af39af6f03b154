"""Shared code of all shops of this folder: an order's body, prices, a pool, a server."""

from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Literal
from uuid import UUID

import asyncpg
import orjson
import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

SCHEMA = """
create table if not exists price (item text primary key, fen bigint not null);
create table if not exists idempotency (
    key uuid primary key, digest bytea not null, created_at timestamptz not null default now());
create table if not exists orders (
    id uuid primary key, channel text not null, market_day text not null, community text not null,
    name text not null, phone text not null, fulfilment jsonb not null, payment text not null,
    total_fen bigint not null, state text not null, placed_at timestamptz not null default now());
create table if not exists order_line (
    order_id uuid not null references orders, line int not null, item text not null, quantity bigint not null,
    price_fen bigint not null, amount_fen bigint not null, primary key (order_id, line));
create index if not exists orders_waiting on orders (id) where state = 'placed';
"""
STOCK = """
create table if not exists stock (
    pool text not null, item text not null, on_hand bigint not null, reserved bigint not null default 0,
    primary key (pool, item), check (reserved between 0 and on_hand));
"""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Goods(Strict):
    item: str = Field(pattern=r"^[a-z0-9-]+$", max_length=64)
    quantity: int = Field(gt=0, le=1_000_000)


class Recipient(Strict):
    name: str = Field(min_length=1, max_length=64)
    phone: str = Field(pattern=r"^\+?[0-9][0-9 -]{4,19}$")


class Pickup(Strict):
    kind: Literal["pickup"]
    point: str


class Address(Strict):
    text: str = Field(min_length=1, max_length=200)
    lat: float
    lon: float


class Delivery(Strict):
    kind: Literal["delivery"]
    address: Address


class NewOrder(Strict):
    order_id: UUID
    channel: Literal["app", "group", "live", "stall"]
    market_day: str
    community: str
    recipient: Recipient
    lines: list[Goods] = Field(min_length=1, max_length=100)
    fulfilment: Annotated[Pickup | Delivery, Field(discriminator="kind")]
    payment: Literal["on_account", "prepaid", "pending"]

    @property
    def pool(self) -> str:
        """Stock pool of the order: a community is served by the site of its name."""
        return f"{self.market_day}@{self.community}"

    def digest(self) -> bytes:
        return hashlib.sha256(self.model_dump_json().encode()).digest()

    def wanted(self) -> dict[str, int]:
        """Return the quantity of each item, in order of items, which is the order of locks."""
        total: dict[str, int] = {}
        for line in sorted(self.lines, key=lambda line: line.item):
            total[line.item] = total.get(line.item, 0) + line.quantity
        return total


async def claim(conn: asyncpg.Connection, order: NewOrder) -> bool:
    """Return True if the order is new. Raises on a repeat with different content."""
    digest = order.digest()
    new = await conn.fetchval(
        "insert into idempotency (key, digest) values ($1, $2) on conflict do nothing returning true",
        order.order_id,
        digest,
    )
    if not new and await conn.fetchval("select digest from idempotency where key = $1", order.order_id) != digest:
        raise ValueError("another order under the same id")
    return bool(new)


async def insert(conn: asyncpg.Connection, order: NewOrder, prices: dict[str, int], state: str) -> int:
    """Write the order with its prices; return its total."""
    amounts = [prices[line.item] * line.quantity for line in order.lines]
    await conn.execute(
        "insert into orders (id, channel, market_day, community, name, phone, fulfilment, payment, total_fen, state) "
        "values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        order.order_id,
        order.channel,
        order.market_day,
        order.community,
        order.recipient.name,
        order.recipient.phone,
        order.fulfilment.model_dump_json(),
        order.payment,
        sum(amounts),
        state,
    )
    await conn.execute(
        "insert into order_line (order_id, line, item, quantity, price_fen, amount_fen) select $1, * from unnest("
        "$2::int[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])",
        order.order_id,
        list(range(1, len(order.lines) + 1)),
        [line.item for line in order.lines],
        [line.quantity for line in order.lines],
        [prices[line.item] for line in order.lines],
        amounts,
    )
    return sum(amounts)


async def reserve(conn: asyncpg.Connection, pool: str, wanted: dict[str, int]) -> bool:
    """Reserve all of it or nothing, under the locks of the stock rows."""
    items = list(wanted)
    rows = await conn.fetch(
        "select item, on_hand - reserved as free from stock where pool = $1 and item = any($2) "
        "order by item for update",
        pool,
        items,
    )
    free = {row["item"]: row["free"] for row in rows}
    if any(free.get(item, 0) < quantity for item, quantity in wanted.items()):
        return False
    await conn.execute(
        "update stock s set reserved = s.reserved + w.q from unnest($2::text[], $3::bigint[]) w(item, q) "
        "where s.pool = $1 and s.item = w.item",
        pool,
        items,
        list(wanted.values()),
    )
    return True


async def prices_of(pool: asyncpg.Pool) -> dict[str, int]:
    return {row["item"]: row["fen"] for row in await pool.fetch("select item, fen from price")}


def answer(order: NewOrder, total: int, state: str) -> bytes:
    return orjson.dumps(
        {
            "order_id": order.order_id,
            "state": state,
            "total_fen": total,
            "lines": [line.model_dump() for line in order.lines],
        }
    )


def connections() -> AbstractAsyncContextManager[asyncpg.Pool]:
    return asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=4, max_size=32)


def serve(app: FastAPI) -> None:
    """Serve until SIGTERM on the port in the environment."""
    config = uvicorn.Config(app, port=int(os.environ["PORT"]), http="httptools", access_log=False, log_level="warning")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve())
