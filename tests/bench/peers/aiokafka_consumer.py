"""aiokafka by hand: `getmany`, a pydantic model for each record, offsets committed after each batch."""

from __future__ import annotations

import asyncio
import os
import time
from uuid import UUID

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer
from pydantic import BaseModel


class Line(BaseModel):
    line: int
    item: str
    quantity: int
    unit: str
    price_fen: int
    price: str
    amount_fen: int


class Placed(BaseModel):
    order: UUID
    channel: str
    market_day: str
    community: str
    pool: str
    lines: list[Line]
    total_fen: int
    fulfilment: str
    payment: str


async def consume(count: int) -> dict[str, float]:
    """Read so many records from the start of the topic; return the seconds from the first batch."""
    consumer = AIOKafkaConsumer(
        os.environ["TOPIC"],
        bootstrap_servers=os.environ["KAFKA"],
        group_id=os.environ["GROUP"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username=os.environ["KAFKA_USER"],
        sasl_plain_password=os.environ["KAFKA_PASSWORD"],
    )
    await consumer.start()
    seen, total, began = 0, 0, 0.0
    while seen < count:
        found = await consumer.getmany(timeout_ms=1000, max_records=500)
        began = began or time.perf_counter()
        for records in found.values():
            for record in records:
                total += Placed.model_validate_json(record.value).total_fen
                seen += 1
        await consumer.commit()
    took = time.perf_counter() - began
    await consumer.stop()
    return {"seconds": took, "records": seen, "total": total}


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(orjson.dumps(runner.run(consume(int(os.environ["COUNT"])))).decode(), flush=True)
