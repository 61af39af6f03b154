"""Dead letters: a message that cannot be processed is stored in order and blocks only later messages of its scope."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from contracts.topics import TOPICS
from services.kit.consumer.delivery import Delivery, is_private
from services.kit.database import Connection, Reader
from services.kit.telemetry.metrics import DEAD_LETTERED
from services.kit.transaction import outbox
from services.kit.transaction.message import Record
from services.kit.transaction.outbox import LIMIT, Outgoing
from services.kit.transaction.unit_of_work import CAUSED, UnitOfWork

QUEUED = "queued behind a dead letter of its scope"
REPLACED = "replaced by a later record of its key"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter as an operator sees it; `attempts` 0 means that it only queues behind another."""

    id: int
    consumer: str
    scope: str
    event_id: UUID
    topic: str
    partition: int
    offset: int
    headers: dict[str, str]
    error: str
    attempts: int
    parked_at: datetime
    discarded_at: datetime | None
    discarded_by: str | None
    why: str | None


@dataclass(frozen=True, slots=True)
class Head:
    """The dead letter that is next in its scope."""

    id: int
    record: Record


class DeadLetterTable:
    """The dead letters and the scopes that they block."""

    def __init__(self, conn: Reader) -> None:
        self.conn = conn

    async def blocked(self, consumer: str, scopes: Iterable[str]) -> set[str]:
        """Return the blocked ones of the scopes, locked until the transaction ends: no redrive runs meanwhile."""
        rows = await self.conn.fetch(
            "select scope from parked_scope where consumer = $1 and scope = any($2::text[]) order by scope for update",
            consumer,
            list(scopes),
        )
        return {row["scope"] for row in rows}

    async def store(self, consumer: str, deliveries: Sequence[tuple[Delivery, str]]) -> set[str]:
        """Store each delivery under the scope given with it, in order; return the scopes that it blocked."""
        new = await self.conn.fetch(
            "insert into parked_scope (consumer, scope) select $1, s from unnest($2::text[]) as s "
            "on conflict do nothing returning scope",
            consumer,
            sorted({scope for _, scope in deliveries}),
        )
        await self._insert(consumer, deliveries)
        return {row["scope"] for row in new}

    async def _insert(self, consumer: str, deliveries: Sequence[tuple[Delivery, str]]) -> None:
        records = [delivery.record for delivery, _ in deliveries]
        await self.conn.execute(
            'insert into parked (consumer, scope, event_id, topic, partition, "offset", key, headers, payload, error, '
            "attempts) select $1, s, i, t, p, o, k, h::jsonb, v, e, a from unnest($2::text[], $3::uuid[], $4::text[], "
            "$5::int[], $6::bigint[], $7::bytea[], $8::text[], $9::bytea[], $10::text[], $11::int[]) "
            "with ordinality as r(s, i, t, p, o, k, h, v, e, a, n) order by n",
            consumer,
            [scope for _, scope in deliveries],
            [delivery.id for delivery, _ in deliveries],
            [record.topic for record in records],
            [record.partition for record in records],
            [record.offset for record in records],
            [record.key for record in records],
            [orjson.dumps(record.headers).decode() for record in records],
            [record.value for record in records],
            [delivery.fault or QUEUED for delivery, _ in deliveries],
            [delivery.attempts for delivery, _ in deliveries],
        )

    async def first(self, consumer: str, scope: str, limit: int = 1) -> list[Head]:
        """Return the first records of the scope's queue, in order."""
        rows = await self.conn.fetch(
            'select id, topic, partition, "offset", key, payload, headers from parked '
            "where consumer = $1 and scope = $2 and discarded_at is null order by id limit $3",
            consumer,
            scope,
            limit,
        )
        return [
            Head(id, Record(topic, partition, offset, key, payload, orjson.loads(headers)))
            for id, topic, partition, offset, key, payload, headers in rows
        ]

    async def remove(self, ids: Sequence[int]) -> None:
        """Delete dead letters that were processed after all."""
        await self.conn.execute("delete from parked where id = any($1::bigint[])", ids)

    async def unblock(self, consumer: str, scope: str) -> None:
        """Unblock the scope, unless it still has dead letters. Call it under `lock`."""
        await self.conn.execute(
            "delete from parked_scope where consumer = $1 and scope = $2 and not exists (select from parked p "
            "where p.consumer = $1 and p.scope = $2 and p.discarded_at is null)",
            consumer,
            scope,
        )

    async def failed_again(self, id: int, error: str) -> None:
        """Record a redrive that failed again."""
        await self.conn.execute("update parked set attempts = attempts + 1, error = $2 where id = $1", id, error)

    async def replaced(self, consumer: str, scopes: Sequence[str]) -> None:
        """Discard all dead letters of the scopes, because a later record of the key has the whole state; unblock them.

        Call it while the scopes are locked, by `blocked` or because this transaction blocked them.
        """
        await self.conn.execute(
            "update parked set discarded_at = now(), why = $3, payload = case when topic = any($4::text[]) then null "
            "else payload end where consumer = $1 and scope = any($2::text[]) and discarded_at is null",
            consumer,
            scopes,
            REPLACED,
            [topic.name for topic in TOPICS if topic.private],
        )
        await self.conn.execute(
            "delete from parked_scope where consumer = $1 and scope = any($2::text[])", consumer, scopes
        )


async def store(uow: UnitOfWork, deliveries: Sequence[tuple[Delivery, str]]) -> None:
    """Store each delivery under the scope given with it, in order, and report the first of a newly blocked scope."""
    unreported = await uow.table(DeadLetterTable).store(uow.consumer, deliveries)
    for delivery, scope in deliveries:
        DEAD_LETTERED.labels(uow.consumer).inc()
        if scope in unreported:
            unreported.remove(scope)
            uow.report(notice(uow.consumer, delivery, scope))
    uow.ports.crash_point("park.before_commit")


def notice(consumer: str, delivery: Delivery, scope: str) -> Outgoing:
    """Return the record for the topic of dead letters: the original bytes and type; consumer, reason and source are in
    headers. Without value for a private topic, and for a record that is nearly as large as the broker allows.
    """
    record, topic = delivery.record, f"{consumer.partition('.')[0]}.dlq.v1"
    id = CAUSED.id("\n".join((consumer, str(delivery.id), "kit.parked")))
    value = b"" if is_private(record.topic) or len(record.value or b"") > LIMIT // 2 else record.value or b""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(id),
        "ce_type": record.headers.get("ce_type", "unreadable"),
        "ce_source": consumer.partition(".")[0],
        "ce_subject": scope,
        "ce_time": record.headers.get("ce_time", ""),
        "ce_partitionkey": scope,
        "ce_causationid": str(delivery.id),
        "parked_consumer": consumer,
        "parked_reason": delivery.fault or QUEUED,
        "parked_topic": record.topic,
        "parked_partition": str(record.partition),
        "parked_offset": str(record.offset),
    }
    ascii_only = {name: text.encode("ascii", "replace").decode()[:1000] for name, text in headers.items()}
    return Outgoing(topic, scope, scope, id, ascii_only, value)


async def lock(conn: Connection, consumer: str, scope: str) -> bool:
    """Lock the scope against arrivals; return False when it is not blocked."""
    return bool(await DeadLetterTable(conn).blocked(consumer, [scope]))


async def clear(conn: Connection, consumer: str, scope: str) -> None:
    """Delete all dead letters of the scope and unblock it. Call it under `lock`."""
    await conn.execute(
        "delete from parked where consumer = $1 and scope = $2 and discarded_at is null", consumer, scope
    )
    await DeadLetterTable(conn).unblock(consumer, scope)


async def discard(conn: Connection, id: int, why: str, by: str) -> bool:
    """Discard a dead letter for ever, and keep the reason and the subject; its scope is unblocked when it has no other.

    Idempotent for the same reason; returns False when there is no such dead letter, or it was discarded for another
    reason. A private record's content is deleted.
    """
    row = await conn.fetchrow("select consumer, scope, topic, event_id, why from parked where id = $1", id)
    if row is None or row["why"] is not None:
        return row is not None and row["why"] == why
    if not await lock(conn, row["consumer"], row["scope"]):
        return False
    done: str = await conn.execute(
        "update parked set discarded_at = now(), why = $2, discarded_by = $4, "
        "payload = case when $3 then null else payload end "
        "where id = $1 and discarded_at is null",
        id,
        why,
        is_private(row["topic"]),
        by,
    )
    await outbox.drop(conn, row["event_id"])  # a row that the relay holds is there too
    await DeadLetterTable(conn).unblock(row["consumer"], row["scope"])
    return done == "UPDATE 1"


async def waiting(conn: Reader) -> tuple[int, float]:
    """Return the number of dead letters, and the age of the oldest in seconds (0 when there is none)."""
    ((n, age),) = await conn.fetch(
        "select count(*), coalesce(extract(epoch from clock_timestamp() - min(parked_at)), 0)::float "
        "from parked where discarded_at is null"
    )
    return n, age


async def listing(conn: Connection, *, after: int = 0, limit: int = 100, id: int | None = None) -> list[DeadLetter]:
    """Return the waiting dead letters, oldest first, after id `after`; with `id` that one, discarded or not."""
    rows = await conn.fetch(
        'select id, consumer, scope, event_id, topic, partition, "offset", headers, error, attempts, parked_at, '
        "discarded_at, discarded_by, why from parked where id > $1 "
        "and case when $3::bigint is null then discarded_at is null else id = $3 end order by id limit $2",
        after,
        limit,
        id,
    )
    return [DeadLetter(**{**dict(row), "headers": orjson.loads(row["headers"])}) for row in rows]


async def consumers_of(conn: Connection, scope: str) -> list[str]:
    """Return the consumers for which the scope is blocked."""
    rows = await conn.fetch("select consumer from parked_scope where scope = $1 order by consumer", scope)
    return [row["consumer"] for row in rows]
