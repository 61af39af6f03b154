"""Quarantined uploads: those without a valid signature, and those that a device recorded or sent after its key ended.

They have no effect. Staff decides about each; the decision stays with its author and reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from services.kit.database import Reader
from services.kit.http.problems import Problem
from services.kit.telemetry.metrics import UPLOADS_FLAGGED
from services.kit.transaction.unit_of_work import UnitOfWork
from services.kit.uploads.upload import Upload

MOST = 2_000
"""The most uploads of one key that wait for a decision."""
_ROWS = """
select q.id, q.owner, q.device, q.session, q.seq, q.kind, q.link, q.signed_by, q.received, q.reason, q.given, q.about,
q.places, q.received_at, q.decision, q.decided_by, q.decided_at, q.why, s.frozen_through
from upload_quarantine q left join sequenced_session s using (owner, device, session)
"""
_FORGET = """
update upload_quarantine set given = '', decision = coalesce(decision, 'refused'),
  decided_by = coalesce(decided_by, ''), decided_at = coalesce(decided_at, now()),
  why = coalesce(why, 'the person in it was erased')
where given <> '' and exists (select from unnest($1::text[]) as name where position(name in lower(given)) > 0)
"""

Row = Mapping[str, Any]


class QuarantineTable:
    """Quarantined uploads with their decisions."""

    def __init__(self, conn: Reader) -> None:
        self.conn = conn

    async def insert(
        self, owner: str, uploads: Sequence[Upload], about: Mapping[str, str], places: Sequence[str] | None, now: Any
    ) -> int:
        """Store uploads, each link once; return how many of them were new."""
        rows = [
            (*one.key, one.kind, one.link, one.signed_by or "", one.counts, one.quarantine, one.given)
            for one in uploads
        ]
        inserted = await self.conn.fetch(
            "insert into upload_quarantine "
            "(owner, device, session, seq, kind, link, signed_by, received, reason, given, about, places, received_at) "
            "select $1, r.*, $2::jsonb, $3::text[], $4::timestamptz from unnest($5::text[], $6::text[], $7::bigint[], "
            "$8::text[], $9::text[], $10::text[], $11::boolean[], $12::text[], $13::text[]) as r "
            "on conflict do nothing returning id",
            owner,
            orjson.dumps(dict(about)).decode(),
            list(places) if places is not None else None,
            now,
            *map(list, zip(*rows, strict=True)),
        )
        return len(inserted)

    async def waiting(self, owner: str, signed_by: str) -> int:
        """Return how many uploads of a key wait for a decision."""
        found: int = await self.conn.fetchval(
            "select count(*) from upload_quarantine where owner = $1 and signed_by = $2 and decision is null",
            owner,
            signed_by,
        )
        return found

    async def page(
        self, owner: str | None, decided: bool, places: Mapping[str, Collection[str] | None], after: int, limit: int
    ) -> list[Row]:
        """Return uploads of one owner or all, decided or not, in order of arrival. `places`: the sites and stations
        that the reader is limited to, None for all.
        """
        rows = await self.conn.fetch(
            f"{_ROWS} where q.id > $1 and ($2::text is null or owner = $2) and (q.decision is not null) = $3 "
            "and (case when owner like 'terminal/%' then $4::text[] else $5::text[] end is null or q.places <@ "
            "case when owner like 'terminal/%' then $4::text[] else $5::text[] end) order by q.id limit $6",
            after,
            owner,
            decided,
            *(None if ids is None else sorted(ids) for ids in (places["sites"], places["stations"])),
            limit,
        )
        return [dict(row) for row in rows]

    async def lock(self, id: int) -> Row | None:
        """Return an upload, locked."""
        row = await self.conn.fetchrow(f"{_ROWS} where q.id = $1 for update of q", id)
        return dict(row) if row else None

    async def decide(self, id: int, decision: str, by: str, why: str, now: Any) -> None:
        """Record the decision about an upload."""
        await self.conn.execute(
            "update upload_quarantine set decision = $2, decided_by = $3, why = $4, decided_at = $5 where id = $1",
            id,
            decision,
            by,
            why,
            now,
        )

    async def forget(self, names: Collection[str]) -> None:
        """Blank and refuse uploads with one of the names (ids) in their text."""
        await self.conn.execute(_FORGET, list(names))


async def store(
    uow: UnitOfWork, owner: str, uploads: Sequence[Upload], about: Mapping[str, str], places: Sequence[str] | None
) -> None:
    """Store uploads of one request that staff decides about. Raises a 409 problem where too many of the key wait."""
    if not uploads:
        return
    table, signed_by = uow.table(QuarantineTable), uploads[0].signed_by or ""
    new = await table.insert(owner, uploads, about, places, uow.now)
    if new and await table.waiting(owner, signed_by) > MOST:
        detail = f"{MOST} uploads of this device wait for a decision of staff; send again when some were decided"
        raise Problem(409, "too-many-quarantined", "Too many quarantined uploads", detail)
    UPLOADS_FLAGGED.labels("quarantined").inc(new)
