"""Forgetting what couriers wrote about orders whose person was erased."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from contracts.events.orders import RecipientPut
from services.kit.transaction import erasure
from services.kit.transaction.outbox import Connection
from services.kit.uploads import kept

_BLANK = """
with about as (select id from job where "order" = any($1::uuid[])),
told as (
  select 'courier/' || courier as owner, device, session, seq from evidence where job in (select id from about)
  union select owner, device, session, seq from sequenced where body->>'job' in (select id::text from about)
)
update {table} t set body = '{{}}', device_time = left(device_time, 0), erased_at = now() from told
where (t.owner, t.device, t.session, t.seq) = (told.owner, told.device, told.session, told.seq) and t.erased_at is null
"""


async def forget(conn: Connection, orders: Collection[UUID]) -> None:
    """Blanks notes, uploads and undelivered records about these orders; what was decided by them stays."""
    found = list(orders)
    await conn.execute(
        "update evidence set note = '' from job where job.id = evidence.job and \"order\" = any($1::uuid[])", found
    )
    for table in ("sequenced", "sequenced_conflict"):
        await conn.execute(_BLANK.format(table=table), found)
    jobs = await conn.fetch('select id::text from job where "order" = any($1::uuid[])', found)
    await kept.forget(conn, "dispatch", [row["id"] for row in jobs])
    await erasure.forget(conn, RecipientPut.TOPIC, [str(order) for order in found])
