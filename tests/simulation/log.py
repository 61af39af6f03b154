"""A log that behaves like Kafka as far as our code can tell: partitions, groups with committed positions, and a
producer with acknowledgements that may be lost.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Self
from zlib import crc32

from contracts.topics import BY_NAME
from services.kit.errors import PublishFailed
from services.kit.relay.publisher import Acked
from services.kit.transaction.message import Record
from services.kit.transaction.outbox import Row
from tests.simulation.scheduler import Killed, Scheduler, pause

PARTITIONS = 3
"""Partitions of a topic that has several; fewer than in production, so that keys share one more often."""


class Log:
    """Topics, partitions and records. `on_append` is called with every appended record."""

    def __init__(self, on_append: Callable[[Record], None]) -> None:
        self.partitions: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self.committed: dict[str, Counter[tuple[str, int]]] = defaultdict(Counter)
        self.listeners: dict[str, list[Callable[[], None]]] = defaultdict(list)
        self._on_append = on_append

    def places(self, topic: str) -> list[tuple[str, int]]:
        """Return the partitions of a topic."""
        count = 1 if BY_NAME[topic].partitions == 1 else PARTITIONS
        return [(topic, n) for n in range(count)]

    def append(self, row: Row) -> Acked:
        """Store a row; return its id, partition and offset."""
        places = self.places(row.topic)
        place = places[crc32(row.key.encode()) % len(places)]
        records = self.partitions[place]
        record = Record(row.topic, place[1], len(records), row.key.encode(), row.payload, row.headers)
        records.append(record)
        self._on_append(record)
        for listener in self.listeners[row.topic]:
            listener()
        return row.id, place[1], record.offset


class Publisher:
    """Stand-in for the kit's publisher: sends in order and fails as a producer may. `failure_rate`: probability per
    page.
    """

    def __init__(self, log: Log, scheduler: Scheduler, failure_rate: Callable[[], float]) -> None:
        self._log, self._scheduler, self._failure_rate = log, scheduler, failure_rate

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def send(self, rows: Sequence[Row]) -> list[Acked]:
        """Append per partition in the order of the rows. `PublishFailed`: any prefix of each partition's rows was
        appended.
        """
        rng = self._scheduler.rng
        try:
            await pause(rng.expovariate(100))
        except Killed:
            # a request in flight may still arrive after its sender has died
            if rng.random() < 0.3:
                self._scheduler.after(rng.expovariate(1), self._late, rows)
            raise
        if not self._failure_rate() or rng.random() >= self._failure_rate():
            return [self._log.append(row) for row in rows]
        acked = self._partly(rows)
        known = acked if rng.random() < 0.5 else []
        raise PublishFailed("no acknowledgement in time", known)

    def _late(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._log.append(row)

    def _partly(self, rows: Sequence[Row]) -> list[Acked]:
        rng = self._scheduler.rng
        by_key: dict[tuple[str, int], list[Row]] = defaultdict(list)
        for row in rows:
            places = self._log.places(row.topic)
            by_key[places[crc32(row.key.encode()) % len(places)]].append(row)
        acked: list[Acked] = []
        for queue in by_key.values():
            acked += [self._log.append(row) for row in queue[: rng.randint(0, len(queue))]]
        return acked


class RelayConnection:
    """The relay's own connection: reads committed rows, and holds the relay's lock while it is open."""

    def __init__(self, db: Any) -> None:
        self.db = db

    async def statement(self) -> None:
        await self.db.database_faults.statement()

    def rows(self, table: str) -> Any:
        return self.db.tables[table]

    async def execute(self, _setting: str) -> None:
        await self.statement()

    async def fetchval(self, _try_lock: str, *_: Any) -> bool:
        await self.statement()
        owner = self.db.tables["lane"].setdefault(0, self)
        return owner is self

    async def add_listener(self, _channel: str, _heard: Callable[..., None]) -> None:
        """Ignored; wake-ups use the event."""

    def terminate(self) -> None:
        if self.db.tables["lane"].get(0) is self:
            del self.db.tables["lane"][0]
