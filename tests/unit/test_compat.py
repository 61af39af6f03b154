"""The libraries are still as the kit's changes to their code expect them: each assumption is checked by itself."""

from __future__ import annotations

import inspect
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer.sender import Sender
from asyncpg.protocol import protocol
from faststream.kafka import KafkaBroker
from faststream.middlewares import AckPolicy

from services.kit import compat


def test_asyncpg_still_checks_values_by_an_abstract_class_of_that_name() -> None:
    """In a process of its own: the kit has replaced it in this one."""
    code = (
        "from collections.abc import Iterable; from asyncpg.protocol import protocol; "
        "print(protocol.IterableABC is Iterable)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
    compat.speed_up_arrays()
    assert protocol.IterableABC == (list, tuple)


async def test_faststream_still_sleeps_after_an_empty_poll_and_calls_get_msg_of_the_subscriber() -> None:
    subscriber: Any = KafkaBroker().subscriber(
        "topic", batch=True, group_id="group", ack_policy=AckPolicy.NACK_ON_ERROR
    )
    assert "sleep(self.batch_timeout_ms / 1000)" in inspect.getsource(type(subscriber).get_msg)
    assert list(inspect.signature(subscriber.get_msg).parameters) == ["consumer"]
    assert "self.get_msg(" in inspect.getsource(type(subscriber).consume_one) or any(
        "self.get_msg(" in inspect.getsource(kind) for kind in type(subscriber).__mro__[1:3]
    )
    asked: list[dict[str, int]] = []

    async def getmany(**limits: int) -> dict[str, list[int]]:
        asked.append(limits)
        return {"p0": [1, 2], "p1": [3]}

    compat.return_batches_at_once(subscriber, 7)
    assert await subscriber.get_msg(SimpleNamespace(getmany=getmany)) == (1, 2, 3)
    assert asked == [{"timeout_ms": 1000, "max_records": 7}]


async def test_a_producer_still_waits_for_its_batches_without_a_limit() -> None:
    assert list(inspect.signature(AIOKafkaProducer.stop).parameters) == ["self"]
    assert "self._message_accumulator.close()" in inspect.getsource(AIOKafkaProducer.stop)
    assert isinstance(inspect.getattr_static(Sender, "sender_task"), property)
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1")
    await compat.abandon(producer)  # never started: it needs the same parts, and there is no task to cancel
    assert callable(producer._message_accumulator.fail_all)
    producer._closed = True
