"""The relay of most tutorials: rows in order, each published, awaited and marked as sent."""

from __future__ import annotations

import asyncio
import os

import asyncpg
import uvloop
from aiokafka import AIOKafkaProducer

SCHEMA = """
create table outbox (
    id bigint generated always as identity primary key, event_id uuid not null unique, topic text not null,
    key text not null, body bytea not null, sent boolean not null default false,
    created_at timestamptz not null default now());
create index outbox_unsent on outbox (id) where not sent;
"""
POLL_S, PAGE = 0.02, 200


async def relay() -> None:
    """Relay until stopped; prints a line at the start."""
    conn = await asyncpg.connect(os.environ["DATABASE_URL"])
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["KAFKA"],
        acks="all",
        enable_idempotence=True,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username=os.environ["KAFKA_USER"],
        sasl_plain_password=os.environ["KAFKA_PASSWORD"],
    )
    await producer.start()
    await conn.execute("select pg_advisory_lock(1)")
    print("relaying", flush=True)
    while True:
        rows = await conn.fetch("select * from outbox where not sent order by id limit $1", PAGE)
        for row in rows:
            headers = [("ce_id", str(row["event_id"]).encode())]
            await producer.send_and_wait(row["topic"], row["body"], row["key"].encode(), headers=headers)
            await conn.execute("update outbox set sent = true where id = $1", row["id"])
        if not rows:
            await asyncio.sleep(POLL_S)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(relay())
