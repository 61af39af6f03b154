"""Every change that the kit makes to code of a library, each with its reason and the condition for removing it.

`tests/unit/test_compat.py` fails when a library changes so that one of them has no effect or is no longer needed.
"""

from __future__ import annotations

import asyncio
import contextlib
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError, ProducerClosed
from asyncpg.protocol import protocol

CLOSE_S = 3.0


def speed_up_arrays() -> None:
    """Let asyncpg recognize a nested array by `list` and `tuple` instead of by an abstract class.

    asyncpg (`protocol/codecs/array.pyx`, `_is_array_iterable`) checks each value of an array against
    `collections.abc.Iterable`, which takes longer than sending the value. Ours are lists; any other collection is
    refused as no array. Remove it when asyncpg checks concrete types first.
    """
    protocol.IterableABC = (list, tuple)  # type: ignore[attr-defined]


def return_batches_at_once(subscriber: Any, limit: int) -> None:
    """Let a FastStream batch subscriber wait for records and return up to `limit` as soon as there are any.

    FastStream's own `get_msg` polls for `batch_timeout_ms` and then sleeps for as long without polling: latency when
    that is long, a hundred wake-ups a second when it is short. Remove it when the subscriber no longer sleeps after an
    empty poll.
    """

    async def get_msg(consumer: Any) -> tuple[Any, ...]:
        found = await consumer.getmany(timeout_ms=1000, max_records=limit)
        return tuple(chain.from_iterable(found.values()))

    subscriber.get_msg = get_msg


def report_closed_connections() -> None:
    """Let aiokafka see a write to a connection that the broker has closed as a lost connection.

    asyncio's transport ignores such a write; uvloop's raises RuntimeError. aiokafka expects KafkaError or OSError: any
    other error ends the task that keeps its metadata, or the one that fetches, and then the consumer receives nothing
    more, without an error, while its process seems healthy. Happens at the end of a broker under load. Remove it when
    https://github.com/aio-libs/aiokafka/issues/1038 is solved.

    A connection that ended, before its reader notices, is replaced and forgotten; its requests wait until their time
    limit of 40 s. Closed, they fail at once. Remove it when `AIOKafkaClient._get_conn` closes it.
    """
    AIOKafkaConnection.send = _send
    AIOKafkaConnection.connected = _connected


_aiokafka_send, _aiokafka_connected = AIOKafkaConnection.send, AIOKafkaConnection.connected


def _send(connection: AIOKafkaConnection, request: Any, expect_response: bool = True) -> Any:
    try:
        return _aiokafka_send(connection, request, expect_response)
    except KafkaError:
        raise
    except RuntimeError as closed:
        connection.close(reason=CloseReason.CONNECTION_BROKEN, exc=closed)
        raise KafkaConnectionError(f"Connection at {connection.host}:{connection.port} broken: {closed}") from closed


def _connected(connection: AIOKafkaConnection) -> bool:
    is_connected: bool = _aiokafka_connected(connection)
    if not is_connected and connection._reader is not None:
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
    return is_connected


async def abandon(producer: AIOKafkaProducer) -> None:
    """Close a producer with a broker that is gone, within a few seconds; what it has not sent is given up.

    `AIOKafkaProducer.stop` waits for its batches without a limit, and cancelling it leaves the sender task running.
    Remove it when `stop` takes a timeout.
    """
    sender = producer._sender
    producer._message_accumulator.fail_all(ProducerClosed())
    for _ in range(2):  # the first cancel lets it wait for the requests in flight
        if sender.sender_task is not None and not sender.sender_task.done():
            sender.sender_task.cancel()
            await asyncio.wait([sender.sender_task], timeout=0.2)
    with contextlib.suppress(TimeoutError, KafkaError, OSError):
        await asyncio.wait_for(producer.client.close(), CLOSE_S)
