"""Sends rows to Kafka: one batch per partition at a time, every wait under a deadline."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Self

from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.partitioner import murmur2

from services.kit.compat import abandon
from services.kit.errors import PublishFailed
from services.kit.faults import point
from services.kit.kafka import UNREACHABLE, make_producer
from services.kit.settings import Settings
from services.kit.transaction.outbox import Row

START_S, SEND_S, STOP_S = 10.0, 10.0, 3.0
Acked = tuple[int, int, int]
"""(row id, partition, offset)"""


class Publisher:
    """A producer that is used until its first error; an async context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = make_producer(settings)

    async def __aenter__(self) -> Self:
        """Connect. Raises `PublishFailed` with the possible causes when Kafka can't be reached."""
        try:
            await asyncio.wait_for(self._producer.start(), START_S)
        except (KafkaError, OSError, TimeoutError) as error:
            await self._stop()
            raise PublishFailed(UNREACHABLE.format(self._settings.kafka_bootstrap)) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect within a few seconds, also when the broker is gone."""
        await self._stop()

    async def send(self, rows: Sequence[Row]) -> list[Acked]:
        """Send the rows, per partition in their order, and return when Kafka has acknowledged all of them.

        Raises `PublishFailed` after 10 s or with the first error.
        """
        acked: list[Acked] = []
        try:
            async with asyncio.timeout(SEND_S):
                queues = await self._by_partition(rows)
                while queues:
                    await self._round(queues, acked)
        except MessageSizeTooLargeError as error:
            raise PublishFailed("a record is larger than the broker accepts", acked, too_large=True) from error
        except (KafkaError, OSError, AssertionError) as error:
            raise PublishFailed(f"{type(error).__name__}: {error}", acked) from error
        except TimeoutError:
            raise PublishFailed(f"Kafka did not acknowledge within {SEND_S:.0f} s", acked) from None
        return acked

    async def _by_partition(self, rows: Sequence[Row]) -> dict[tuple[str, int], deque[Row]]:
        queues: dict[tuple[str, int], deque[Row]] = defaultdict(deque)
        counts = {topic: await self._partitions(topic) for topic in {row.topic for row in rows}}
        for row in rows:
            queues[row.topic, _hash(row.key) % counts[row.topic]].append(row)
        return queues

    async def _partitions(self, topic: str) -> int:
        """Return the number of the topic's partitions. Called before sending: a send to a topic that does not exist
        repeats the metadata request until the request timeout.
        """
        name, client = self._settings.prefix + topic, self._producer.client
        found = client.cluster.partitions_for_topic(name)
        if found is None:
            client.add_topic(name)
            await client.force_metadata_update()
            found = client.cluster.partitions_for_topic(name)
        if found is None:
            raise PublishFailed(f"topic {name} does not exist, or {self._settings.kafka_username} may not see it")
        return len(found)

    async def _round(self, queues: dict[tuple[str, int], deque[Row]], acked: list[Acked]) -> None:
        """Send one batch of each partition. The next follows only when all are acknowledged, so that a later batch of a
        partition can't arrive without an earlier one.
        """
        sent: dict[asyncio.Future[Any], tuple[int, list[Row]]] = {}
        for (topic, partition), queue in list(queues.items()):
            batch, taken = self._fill(queue)
            future = await self._producer.send_batch(batch, self._settings.prefix + topic, partition=partition)
            future.add_done_callback(_retrieve)
            sent[future] = (partition, taken)
            if not queue:
                del queues[topic, partition]
            point("relay.mid_batch")
        try:
            await asyncio.wait(sent)
        finally:
            for future, (partition, taken) in sent.items():
                if future.done() and not future.cancelled() and future.exception() is None:
                    first = future.result().offset  # -1 when the broker only reports duplicates
                    acked.extend((row.id, partition, first + n if first >= 0 else -1) for n, row in enumerate(taken))
        for future in sent:
            future.result()

    def _fill(self, queue: deque[Row]) -> tuple[Any, list[Row]]:
        batch, taken = self._producer.create_batch(), []
        while queue:
            row = queue[0]
            headers = [(name, value.encode()) for name, value in row.headers.items()]
            if batch.append(key=row.key.encode(), value=row.payload, timestamp=None, headers=headers) is None:
                break
            taken.append(queue.popleft())
        batch.close()
        return batch, taken

    async def _stop(self) -> None:
        try:
            await asyncio.wait_for(self._producer.stop(), STOP_S)
        except (TimeoutError, KafkaError, OSError):
            await abandon(self._producer)


@lru_cache(maxsize=4_096)  # about 1 MB; the records of one subject come close together
def _hash(key: str) -> int:
    """Return the positive hash by which Java's default partitioner picks a partition; cached, for it is slow."""
    return int(murmur2(key.encode())) & 0x7FFFFFFF


def _retrieve(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
