"""Parts of the kit as separate processes: `python -m tests.bench.isolate relay|consumer`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import orjson
import uvloop

from contracts.events.orders import OrderPlaced
from contracts.registry import MODELS
from services.kit.consumer.delivery import Delivery
from services.kit.consumer.processor import BatchProcessor
from services.kit.consumer.subscription import Subscription, TopicSource, subscribe
from services.kit.database import connect
from services.kit.kafka import make_broker
from services.kit.process.main import collect_less
from services.kit.relay.relay import Relay
from services.kit.settings import Settings
from services.kit.transaction import outbox
from services.kit.transaction.message import Message


class Handler(BatchProcessor[TopicSource]):
    """The consumer's way from the log to the handler, without a database behind it."""

    seen, total, began = 0, 0, 0.0

    async def settle(self, deliveries: Sequence[Delivery], until: float | None = None) -> None:
        self.began = self.began or time.perf_counter()
        for delivery in deliveries:
            assert delivery.handler
            assert delivery.message
            delivery.handler(self, delivery.message)


def on_placed(handler: Handler, message: Message[OrderPlaced]) -> None:
    handler.seen += 1
    handler.total += message.data.total_fen


async def consume(count: int) -> dict[str, float]:
    """Process so many orders from the start of the topic; return the seconds from the first batch."""
    settings = Settings.load()
    unused: Any = None
    subscription = Subscription("orders.order.v1", {OrderPlaced: on_placed})
    source = TopicSource(os.environ["GROUP"], subscription, MODELS)
    handler = Handler(source, unused, unused, unused)
    broker = make_broker(settings)
    subscribe(broker, handler, settings)
    await broker.start()
    while handler.seen < count:
        await asyncio.sleep(0.005)
    took = time.perf_counter() - handler.began
    await broker.stop()
    return {"seconds": took, "records": handler.seen, "total": handler.total}


async def main(what: str) -> None:
    collect_less()
    if what == "relay":
        settings = Settings.load()
        conn = await connect(settings)
        await outbox.prepare_archive(conn)
        await conn.close()
        await Relay("orders", settings, asyncio.Event()).run()
    else:
        print(orjson.dumps(await consume(int(os.environ["COUNT"]))).decode(), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1]))
