"""Kept uploads: facts of a device that can't take effect (yet), among the dead letters.

Each is a scope of its own, so none blocks another. They are listed, redriven and discarded like other dead letters, and
not published, as an upload may contain anything.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import orjson

from services.kit.consumer import dead_letters
from services.kit.consumer.dead_letters import DeadLetterTable
from services.kit.context import Context
from services.kit.database import Connection
from services.kit.ids import Namespace
from services.kit.telemetry.metrics import DEAD_LETTERED
from services.kit.transaction.unit_of_work import UnitOfWork
from services.kit.uploads.sessions import SessionTable
from services.kit.uploads.upload import Key, Upload, UploadIn, read

OnUpload: TypeAlias = "Callable[[UnitOfWork, str, Upload, Mapping[str, str]], Awaitable[str]]"
"""Applies a kept upload of an owner; returns why it still has no effect, else the empty text."""
_IDS = Namespace("kept-upload")
_FORGET = """
with gone as (
  update parked set payload = null, discarded_at = coalesce(discarded_at, now()),
    why = coalesce(why, 'the person in it was erased')
  where consumer = $2 and payload is not null and exists (
    select from unnest($1::text[]) as name where position(name in lower(convert_from(payload, 'UTF8'))) > 0)
  returning scope
), free as (delete from parked_scope where consumer = $2 and scope in (select scope from gone))
update sequenced set body = '{}', device_time = left(device_time, 0), erased_at = now()
where concat_ws('/', owner, device, session, seq) in (select scope from gone)
"""
_FORGET_CONFLICTS = """
update sequenced_conflict set given = null, body = '{}', device_time = left(device_time, 0), erased_at = now()
where given is not null and exists (
  select from unnest($1::text[]) as name where position(name in lower(given)) > 0)
"""


class KeptTable:
    """Kept uploads among the dead letters."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn

    async def insert(self, consumer: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Store (scope, id, number, headers, content, fault) of new uploads, and block the scope of each."""
        await self.conn.execute(
            "with scopes as (insert into parked_scope (consumer, scope) select $1, unnest($2::text[]) "
            "on conflict do nothing) "
            'insert into parked (consumer, scope, event_id, topic, partition, "offset", headers, payload, error, '
            "attempts) select $1, s, i, '', 0, n, h::jsonb, p, e, 1 from unnest($2::text[], $3::uuid[], $4::bigint[], "
            "$5::text[], $6::bytea[], $7::text[]) as r(s, i, n, h, p, e)",
            consumer,
            *map(list, zip(*rows, strict=True)),
        )

    async def waiting(self, consumer: str, scope: str) -> tuple[int, dict[str, str], bytes] | None:
        """Return id, headers and text of the upload that is kept under the scope, locked; None where there is none."""
        if not await dead_letters.lock(self.conn, consumer, scope):
            return None
        row = await self.conn.fetchrow(
            "select id, headers, payload from parked where consumer = $1 and scope = $2 and discarded_at is null",
            consumer,
            scope,
        )
        return (row["id"], orjson.loads(row["headers"]), row["payload"]) if row else None


def consumer_of(service: str) -> str:
    """Return the consumer under which a service's kept uploads are listed."""
    return f"{service}.uploads"


def scope_of(owner: str, key: Key) -> str:
    """Return a kept upload's scope: `terminal/ID/DEVICE/SESSION/SEQ`."""
    return "/".join((owner, *map(str, key)))


async def store(uow: UnitOfWork, owner: str, uploads: Sequence[Upload], about: Mapping[str, str]) -> None:
    """Store new uploads that can't take effect, as given."""
    if uploads:
        consumer = consumer_of(uow.consumer.partition(".")[0])
        DEAD_LETTERED.labels(consumer).inc(len(uploads))
        await uow.table(KeptTable).insert(consumer, [_row(owner, upload, about, uow.now) for upload in uploads])


def _row(owner: str, upload: Upload, about: Mapping[str, str], now: datetime) -> tuple[Any, ...]:
    scope = scope_of(owner, upload.key)
    headers = {**about, "owner": owner, "received_at": now.isoformat()}
    return scope, _IDS.id(scope), upload.seq, orjson.dumps(headers).decode(), upload.given.encode(), upload.fault


async def redrive(context: Context, apply: OnUpload | None, scope: str) -> tuple[int, str | None]:
    """Try a kept upload again; return how many took effect (0 or 1), and the reason for none. Harmless to repeat."""
    consumer = consumer_of(context.service)
    if apply is None:
        return 0, f"{context.service} takes no uploads"
    async with context.unit() as uow:
        waiting = await uow.table(KeptTable).waiting(consumer, scope)
        if waiting is None:
            return 0, None
        letters, (id, about, given) = uow.table(DeadLetterTable), waiting
        owner, received = about["owner"], datetime.fromisoformat(about["received_at"])
        upload = read(UploadIn.model_validate(json.loads(given)), owner, received)
        fault = upload.fault or await apply(uow, owner, upload, about)
        await uow.table(SessionTable).settle(owner, upload, fault)
        if fault:
            await letters.failed_again(id, fault)
            return 0, fault
        await letters.remove([id])
        await letters.unblock(consumer, scope)
    return 1, None


async def forget(conn: Connection, service: str, names: Collection[str]) -> None:
    """Blank and discard kept uploads with one of the names (ids) in their text, and conflicts that can't be parsed."""
    await conn.execute(_FORGET, list(names), consumer_of(service))
    await conn.execute(_FORGET_CONFLICTS, list(names))
