"""Consumers and the end of a broker: the watch over them, and how much a starting broker reads for them."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource

from services.kit.consumer.subscription import subscribe
from services.kit.errors import Stalled
from services.kit.kafka import make_broker
from services.kit.process import consumer_watch, readiness
from tests.integration.probe.service import IN, Add
from tests.integration.probe.world import World
from tests.stack import eventually

pytestmark = pytest.mark.stack


async def test_a_consumer_that_no_longer_receives_is_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_watch, "EVERY_S", 0.2)
    monkeypatch.setattr(consumer_watch, "LIMIT", 10)
    processor, broker = world.processor(), make_broker(world.settings)
    subscriber = subscribe(broker, processor, world.settings)
    watch = consumer_watch.ConsumerWatch([(processor, subscriber)], partial(readiness.ask_kafka, world.settings, [IN]))
    await broker.start()
    try:
        async with world.relay():
            await world.add(Add(account="a", n=1))
            await eventually(world.effects)
            running = asyncio.create_task(watch.run())
            done, _ = await asyncio.wait({running}, timeout=3)
            assert not done, "a consumer without waiting records is no fault"
            subscriber.tasks[0].cancel()  # FastStream starts a task again that failed, not one that was cancelled
            await world.add(Add(account="a", n=2))
            with pytest.raises(Stalled, match=processor.consumer):
                await asyncio.wait_for(running, 60)
            assert not (await watch.check()).ok
    finally:
        await broker.stop()


async def test_a_starting_broker_has_little_to_read_before_consumers_can_join(world: World) -> None:
    """Check the log of their offsets, which is compacted except for its last segment."""
    assert world.stack.kafka, "the embedded broker only"
    async with world.consumer():
        admin = AdminClient(world.stack.client())
        asked = [ConfigResource(ConfigResource.Type.TOPIC, "__consumer_offsets")]
        (answer,) = admin.describe_configs(asked).values()
        found = await asyncio.to_thread(answer.result, 30)
    assert found["cleanup.policy"].value == "compact"
    assert int(found["segment.bytes"].value) <= 1 << 20
