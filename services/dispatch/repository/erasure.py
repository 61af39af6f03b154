"""Erasure of the texts that couriers wrote about orders, once the person of the order is erased."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from contracts.events.orders import RecipientPut
from services.kit.database import Connection
from services.kit.transaction import erasure
from services.kit.uploads import kept
from services.kit.uploads.quarantine import QuarantineTable

_BLANK_UPLOADS = """
with about as (select id from job where "order" = any($1::uuid[])),
named as (
  select 'courier/' || courier as owner, device, session, seq from evidence where job in (select id from about)
  union select owner, device, session, seq from sequenced where body->>'job' in (select id::text from about)
)
update {table} t set body = '{{}}', device_time = left(device_time, 0), erased_at = now() from named n
where (t.owner, t.device, t.session, t.seq) = (n.owner, n.device, n.session, n.seq) and t.erased_at is null
"""


async def erase_notes(conn: Connection, orders: Collection[UUID]) -> None:
    """Blank notes, uploads and dead letters about these orders; the decisions made from them stay."""
    ids = list(orders)
    await conn.execute(
        "update evidence set note = '' from job where job.id = evidence.job and \"order\" = any($1::uuid[])", ids
    )
    for table in ("sequenced", "sequenced_conflict"):
        await conn.execute(_BLANK_UPLOADS.format(table=table), ids)
    jobs = await conn.fetch('select id::text from job where "order" = any($1::uuid[])', ids)
    names = [row["id"] for row in jobs]
    await kept.forget(conn, "dispatch", names)
    await QuarantineTable(conn).forget(names)
    await erasure.forget(conn, RecipientPut.TOPIC, [str(order) for order in ids])
