"""A plain outbox: rows of the business transaction, published by a task that polls every 200 ms."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from faststream.kafka import KafkaBroker
from pydantic import BaseModel

SCHEMA = """
create table if not exists outbox (
    id bigint generated always as identity primary key, topic text not null, key text not null, body bytea not null,
    created_at timestamptz not null default now());
"""
POLL_S, PAGE = 0.2, 200


async def write(conn: asyncpg.Connection, topic: str, key: str, event: BaseModel) -> None:
    await conn.execute(
        "insert into outbox (topic, key, body) values ($1, $2, $3)", topic, key, event.model_dump_json().encode()
    )


@asynccontextmanager
async def relaying(pool: asyncpg.Pool, broker: KafkaBroker, *, off: bool = False) -> AsyncIterator[None]:
    """Publish written rows for the duration of the block."""
    task = None if off else asyncio.create_task(_relay(pool, broker))
    yield
    if task:
        task.cancel()
        await asyncio.wait({task})


async def _relay(pool: asyncpg.Pool, broker: KafkaBroker) -> None:
    while True:
        try:
            sent = await _page(pool, broker)
        except Exception:
            logging.exception("the relay tries again")
            sent = 0
        if sent < PAGE:
            await asyncio.sleep(POLL_S)


async def _page(pool: asyncpg.Pool, broker: KafkaBroker) -> int:
    """Publish and delete a page; one relay at a time, so that the order is kept."""
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("select pg_advisory_xact_lock(1)")
        rows = await conn.fetch("select id, topic, key, body from outbox order by id limit $1", PAGE)
        await asyncio.gather(
            *(
                broker.publish(
                    row["body"], row["topic"], key=row["key"].encode(), headers={"content-type": "application/json"}
                )
                for row in rows
            )
        )
        await conn.execute("delete from outbox where id = any($1)", [row["id"] for row in rows])
    return len(rows)
