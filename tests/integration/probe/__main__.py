"""The probe as a process: relay, consumer and sweeper, until SIGTERM. `relay` or `consumer` as argument: only that."""

from __future__ import annotations

import asyncio
import signal
import sys

from services.kit.clock import Clock
from services.kit.consumer.dedup import Inbox
from services.kit.consumer.processor import BatchProcessor
from services.kit.consumer.subscription import TopicSource, subscribe
from services.kit.consumer.sweeper import Sweeper
from services.kit.context import Context
from services.kit.database import connect_pool
from services.kit.kafka import make_broker
from services.kit.relay.relay import Relay
from services.kit.settings import Settings
from services.kit.transaction import outbox
from services.kit.transaction.ports import Ports
from services.kit.transaction.unit_of_work import begin
from tests.integration.probe.service import MODELS, ProbeBook, on_due, subscription


async def main(parts: set[str]) -> None:
    """Serve until SIGTERM, then finish the work in progress."""
    settings, wake, stopped = Settings.load(), asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    pool = await connect_pool(settings)
    broker = make_broker(settings)
    tasks = []
    if "relay" in parts:
        async with begin(pool, Ports(Clock()), consumer="probe.relay") as uow:
            await outbox.prepare_archive(uow.conn)
        tasks.append(asyncio.create_task(Relay("probe", settings, wake).run()))
    if "consumer" in parts:
        context = Context(settings, Ports(Clock()), pool, wake.set, "probe")
        source = TopicSource("probe", subscription(), MODELS)
        subscribe(broker, BatchProcessor(source, Inbox(), ProbeBook, context), settings)  # type: ignore[arg-type]
        await broker.start()
        tasks.append(asyncio.create_task(Sweeper("probe", on_due, ProbeBook, context).run()))  # type: ignore[arg-type]
    print("ready", flush=True)
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    await broker.stop()
    for task in tasks:
        task.cancel()
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)


if __name__ == "__main__":
    asyncio.run(main(set(sys.argv[1:]) or {"relay", "consumer"}))
