"""The libraries are still as the kit's changes to their code expect them: each assumption is checked by itself."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.producer.sender import Sender
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import BrokerMetadata
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


async def _connection_lost_by_uvloop() -> AIOKafkaConnection:
    """Return a connection in the moment after uvloop has closed its transport and before its reader knows."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.transport.abort()
    await writer.wait_closed()
    server.close()
    connection = AIOKafkaConnection("127.0.0.1", 1)
    connection._reader, connection._writer = asyncio.StreamReader(), writer
    connection._read_task = asyncio.create_task(asyncio.Event().wait())
    connection._versions = {MetadataRequest.API_KEY: (0, 5)}
    return connection


def test_uvloop_still_refuses_a_write_that_aiokafka_does_not_expect() -> None:
    async def write() -> None:
        connection = await _connection_lost_by_uvloop()
        with pytest.raises(RuntimeError, match="the handler is closed") as raised:
            compat._aiokafka_send(connection, ApiVersionRequest())
        assert not isinstance(raised.value, KafkaError)
        compat.report_closed_connections()
        with pytest.raises(KafkaConnectionError):
            connection.send(ApiVersionRequest())
        assert not connection.connected()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(write())


def test_the_task_that_keeps_metadata_survives_a_connection_that_uvloop_has_closed() -> None:
    """Without that task a consumer waits for ever: it never learns which broker coordinates its group."""

    compat.report_closed_connections()

    async def update() -> None:
        client = AIOKafkaClient(bootstrap_servers="127.0.0.1:1")
        client.cluster._brokers = {1: BrokerMetadata(1, "127.0.0.1", 1, None)}
        client._conns[1, ConnectionGroup.DEFAULT] = await _connection_lost_by_uvloop()
        keeping = asyncio.create_task(client._md_synchronizer())
        assert await asyncio.wait_for(client.force_metadata_update(), 5) is False
        assert not keeping.done()
        keeping.cancel()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(update())


async def test_a_request_on_a_connection_that_has_ended_fails_at_once() -> None:
    """Otherwise a fetch in flight waits for 40 s after the end of a broker, and so does its consumer."""
    compat.report_closed_connections()
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    connection = AIOKafkaConnection(host, port)
    reader, connection._writer = await asyncio.open_connection(host, port)
    connection._reader, connection._closed_fut = reader, asyncio.get_running_loop().create_future()
    connection._read_task = asyncio.create_task(asyncio.Event().wait())
    client = AIOKafkaClient(bootstrap_servers="127.0.0.1:1")
    client._conns[1, ConnectionGroup.DEFAULT] = connection
    request = asyncio.ensure_future(connection.send(ApiVersionRequest()))
    del connection
    reader.feed_eof()
    assert await client._get_conn(1) is None
    with pytest.raises(KafkaConnectionError):
        await asyncio.wait_for(request, 5)
    server.close()
