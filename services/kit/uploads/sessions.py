"""The tables of uploads: a head row for each session, each upload once, and the conflicts beside them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from services.kit.database import Reader
from services.kit.http.idempotency import MOST_CONFLICTS
from services.kit.transaction.access_log import Shown
from services.kit.uploads.upload import Key, Session, Upload

Flag = str
_MOST = 2**31
_COLUMNS = {
    "device": "text",
    "session": "text",
    "seq": "bigint",
    "kind": "text",
    "body": "jsonb",
    "digest": "bytea",
    "body_hash": "text",
    "prev_hash": "text",
    "link": "text",
    "recorded_at": "timestamptz",
    "device_time": "text",
    "signed_by": "text",
}
_FLAGS = {
    "kept": "sequenced where kept is not null",
    "clock-invalid": "sequenced where device_time is not null",
    "chain-broken": "sequenced where chain_broken",
    "conflict": "sequenced_conflict where true",
    "forked": "sequenced where forked",
}


class Progress(NamedTuple):
    """Progress of a session: 1 up to `through` have all arrived, `last` is the highest that has, the `gaps` (first and
    last number, inclusive) between them are missing. `touched_at` is the time of the last new upload.
    """

    through: int
    last: int
    gaps: tuple[tuple[int, int], ...]
    touched_at: datetime


class Known(NamedTuple):
    """A stored upload. `kept` is the reason why it has no effect so far; a quarantined one waits for staff."""

    digest: bytes
    link: str | None
    prev_hash: str | None
    chain_broken: bool
    kept: str | None
    quarantined: bool = False
    signed: bool = False

    @classmethod
    def of(cls, upload: Upload) -> Known:
        """Return the values that will be stored of a new upload."""
        kept, held = upload.fault or None, bool(upload.quarantine)
        return cls(
            upload.digest,
            upload.link,
            upload.prev_hash,
            False,
            None if held else kept,
            held,
            upload.signed_by is not None,
        )


def _row(upload: Upload) -> tuple[Any, ...]:
    body = None if upload.fault or upload.quarantine else orjson.dumps(upload.body).decode()
    return (
        *upload.key,
        upload.kind,
        body,
        upload.digest,
        upload.body_hash,
        upload.prev_hash,
        upload.link,
        upload.recorded_at,
        upload.device_time,
        upload.signed_by,
    )


def _unnested(columns: Mapping[str, str]) -> tuple[str, str]:
    """Return the names of columns, and an array parameter for each, from $2 on."""
    return ", ".join(columns), ", ".join(f"${n}::{type}[]" for n, type in enumerate(columns.values(), 2))


class SessionTable:
    """An owner's sessions and uploads."""

    def __init__(self, conn: Reader) -> None:
        self.conn = conn

    async def lock(self, owner: str, sessions: Sequence[Session], now: datetime) -> None:
        """Lock the head rows of the sessions, in the order given, and create missing ones."""
        # The update changes nothing; it locks existing and new rows in one statement.
        await self.conn.execute(
            "insert into sequenced_session as old (owner, device, session, touched_at) "
            "select $1, d, s, $4 from unnest($2::text[], $3::text[]) as r(d, s) "
            "on conflict (owner, device, session) do update set received_through = old.received_through",
            owner,
            [device for device, _ in sessions],
            [session for _, session in sessions],
            now,
        )

    async def progress(self, owner: str) -> dict[Session, Progress]:
        """Return every session that the owner ever uploaded."""
        rows = await self.conn.fetch(
            "select device, session, received_through, last_seq, gaps, touched_at from sequenced_session "
            "where owner = $1 order by device, session",
            owner,
        )
        return {
            (row["device"], row["session"]): Progress(
                row["received_through"],
                row["last_seq"],
                tuple(zip(row["gaps"][::2], row["gaps"][1::2], strict=True)),
                row["touched_at"],
            )
            for row in rows
        }

    async def known(self, owner: str, uploads: Sequence[Upload]) -> dict[Key, Known]:
        """Return the uploads that are stored under these numbers and under their neighbours."""
        keys = sorted({(u.device, u.session, seq) for u in uploads for seq in (u.seq - 1, u.seq, u.seq + 1)})
        rows = await self.conn.fetch(
            "select device, session, seq, digest, link, prev_hash, chain_broken, kept, "
            "coalesce(quarantined, false), signed_by is not null from sequenced "
            "join unnest($2::text[], $3::text[], $4::bigint[]) as r(device, session, seq) using (device, session, seq) "
            "where owner = $1",
            owner,
            *([key[n] for key in keys] for n in range(3)),
        )
        return {tuple(row)[:3]: Known(*tuple(row)[3:]) for row in rows}

    async def insert(self, owner: str, uploads: Sequence[Upload], broken: Collection[Key]) -> None:
        """Store new uploads."""
        if uploads:
            columns = _COLUMNS | {"chain_broken": "boolean", "kept": "text", "quarantined": "boolean"}
            states = [Known.of(upload) for upload in uploads]
            rows = [
                (*_row(upload), upload.key in broken, state.kept, state.quarantined or None)
                for upload, state in zip(uploads, states, strict=True)
            ]
            names, arrays = _unnested(columns)
            await self.conn.execute(
                f"insert into sequenced (owner, {names}) select $1, r.* from unnest({arrays}) as r({names})",  # noqa: S608
                owner,
                *map(list, zip(*rows, strict=True)),
            )

    async def insert_conflicts(self, owner: str, uploads: Sequence[Upload]) -> list[Upload]:
        """Store other contents of numbers that are taken, each once; return those that were new. Of a number the first
        `MOST_CONFLICTS` of each signer are stored, so that no device fills the table, and no one without its key crowds
        out what it signed. Call it under `lock`.
        """
        if not uploads:
            return []
        first = {(upload.key, upload.digest): upload for upload in reversed(uploads)}
        found = [first[key] for key in sorted(first)]
        columns = _COLUMNS | {"given": "text"}
        rows = [(*_row(upload), upload.given if upload.fault or upload.quarantine else None) for upload in found]
        names, arrays = _unnested(columns)
        inserted = await self.conn.fetch(
            f"insert into sequenced_conflict (owner, {names}) select $1, {names} from (select r.*, "  # noqa: S608
            "row_number() over (partition by device, session, seq, signed_by order by digest) + (select count(*) "
            "from sequenced_conflict c where (c.owner, c.device, c.session, c.seq) = ($1, r.device, r.session, r.seq) "
            "and c.signed_by is not distinct from r.signed_by) "
            f"as place from unnest({arrays}) as r({names}) where not exists (select from sequenced_conflict c "
            "where (c.owner, c.device, c.session, c.seq, c.digest) = ($1, r.device, r.session, r.seq, r.digest))) as n "
            f"where place <= {MOST_CONFLICTS} returning device, session, seq, digest",
            owner,
            *map(list, zip(*rows, strict=True)),
        )
        new = {(tuple(row)[:3], row["digest"]) for row in inserted}
        return [upload for upload in found if (upload.key, upload.digest) in new]

    async def move(self, owner: str, sessions: Mapping[Session, Progress], broken: Sequence[Key]) -> None:
        """Write the progress of the sessions, and mark stored uploads that turned out to break their chain."""
        if sessions:
            await self.conn.execute(
                "update sequenced_session q set received_through = t, last_seq = l, gaps = g::bigint[], missing = m, "
                "touched_at = $8 from unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], "
                "$7::bigint[]) as r(d, s, t, l, g, m) where q.owner = $1 and q.device = d and q.session = s",
                owner,
                [device for device, _ in sessions],
                [session for _, session in sessions],
                [state.through for state in sessions.values()],
                [state.last for state in sessions.values()],
                [f"{{{','.join(str(n) for gap in state.gaps for n in gap)}}}" for state in sessions.values()],
                [sum(end - first + 1 for first, end in state.gaps) for state in sessions.values()],
                max(state.touched_at for state in sessions.values()),
            )
        if broken:
            await self.conn.execute(
                "update sequenced set chain_broken = true "
                "from unnest($2::text[], $3::text[], $4::bigint[]) as r(d, s, n) "
                "where owner = $1 and device = d and session = s and seq = r.n",
                owner,
                *([key[n] for key in broken] for n in range(3)),
            )

    async def successors(self, owner: str, links: Collection[str]) -> list[tuple[Key, str]]:
        """Return the signed uploads that follow one of these links, each with the link."""
        rows = await self.conn.fetch(
            "select device, session, seq, prev_hash from sequenced "
            "where owner = $1 and prev_hash = any($2::text[]) and signed_by is not null order by device, session, seq",
            owner,
            list(links),
        )
        return [((row["device"], row["session"], row["seq"]), row["prev_hash"]) for row in rows]

    async def mark_forked(self, owner: str, keys: Sequence[Key]) -> None:
        """Mark uploads that have the same predecessor as another one."""
        await self.conn.execute(
            "update sequenced set forked = true from unnest($2::text[], $3::text[], $4::bigint[]) as r(d, s, n) "
            "where owner = $1 and device = d and session = s and seq = r.n",
            owner,
            *([key[n] for key in keys] for n in range(3)),
        )

    async def settle(self, owner: str, upload: Upload, fault: str) -> None:
        """Record the result of a second trial of an upload that was kept or quarantined: it took effect, or the reason
        why it did not.
        """
        await self.conn.execute(
            "update sequenced set kept = $5, quarantined = null, body = coalesce($6::jsonb, body) "
            "where owner = $1 and device = $2 and session = $3 and seq = $4",
            owner,
            *upload.key,
            fault or None,
            None if fault else orjson.dumps(upload.body).decode(),
        )


async def missing(conn: Reader) -> dict[str, int]:
    """Return by owner the number of uploads that have not arrived though later ones have."""
    rows = await conn.fetch(
        "select owner, least(sum(missing), $1)::bigint as n from sequenced_session where missing > 0 group by owner",
        _MOST,
    )
    return {row["owner"]: row["n"] for row in rows}


async def flagged(conn: Reader, flag: Flag, owner: str | None, after: int, limit: int) -> list[dict[str, Any]]:
    """Return uploads with a flag (`kept`, `clock-invalid`, `chain-broken`, `conflict`) in order of arrival."""
    texts = "null as kept, given" if flag == "conflict" else "kept, null as given"
    rows = await conn.fetch(
        f"select n, owner, device, session, seq, kind, recorded_at, received_at, device_time, {texts} "  # noqa: S608
        f"from {_FLAGS[flag]} "
        "and n > $1 and ($2::text is null or owner = $2) order by n limit $3",
        after,
        owner,
        limit,
    )
    return [dict(row) for row in rows]


def words_of(owner: str, given: str | None) -> tuple[Shown, ...]:
    """Return the classes of personal data that the text of an upload may have: a courier's code and words."""
    return (Shown.CODE, Shown.NOTE) if given and owner.startswith("courier/") else ()
