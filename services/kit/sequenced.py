"""Uploads of a device that was away: in any order, split anyhow, any number of times; each takes effect once.

A device numbers what it records in a session from 1 without holes, so the numbers prove completeness, and nothing
more: a fact takes effect when it arrives, whatever is missing before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
from pydantic import AwareDatetime, Field, field_validator

from contracts.values import Token
from services.kit.body import Body
from services.kit.idempotency import content_hash
from services.kit.outbox import Connection, Reader

Session = tuple[str, str]
"""A device and its session."""
Key = tuple[str, str, int]


class Upload(Body):
    """One recorded fact as the device sends it. `recorded_at` is the device's clock: evidence, never an order."""

    device: Token
    session: Token
    seq: int = Field(ge=1, lt=2**53)
    recorded_at: AwareDatetime
    kind: str = Field(min_length=1, max_length=64)
    body: dict[str, Any]
    body_hash: str | None = Field(default=None, max_length=128)
    prev_hash: str | None = Field(default=None, max_length=128)

    @property
    def key(self) -> Key:
        """What the upload is known by, under its owner."""
        return self.device, self.session, self.seq

    @field_validator("body")
    @classmethod
    def _can_be_stored(cls, body: dict[str, Any]) -> dict[str, Any]:
        try:
            if b"\\u0000" not in orjson.dumps(body):
                return body
        except TypeError as error:
            raise ValueError(str(error)) from error
        raise ValueError("text may not hold a NUL character")

    @cached_property
    def digest(self) -> bytes:
        """Digest of what takes effect, kind and body: two uploads of one key are the same if this is."""
        return content_hash({"kind": self.kind, "body": self.body})


@dataclass(frozen=True, slots=True)
class Judged:
    """Uploads sorted by what they turned out to be; `fresh` in order of device, session and number."""

    fresh: tuple[Upload, ...]
    repeated: tuple[Upload, ...]
    conflicts: tuple[Upload, ...]


@dataclass(frozen=True, slots=True)
class Accepted(Judged):
    """What an upload did, with the state of its sessions: 1 up to `received_through` have all arrived, and of what
    came after that the `gaps` (first and last number, inclusive) are still missing.
    """

    received_through: dict[Session, int]
    gaps: dict[Session, list[tuple[int, int]]]


def judge(known: Mapping[Key, bytes], uploads: Iterable[Upload]) -> Judged:
    """Sorts uploads against the digests that are known; of two in one call the first counts."""
    taken = dict(known)
    fresh: list[Upload] = []
    repeated: list[Upload] = []
    conflicts: list[Upload] = []
    for upload in uploads:
        digest = upload.digest
        if upload.key not in taken:
            taken[upload.key] = digest
            fresh.append(upload)
        else:
            (repeated if taken[upload.key] == digest else conflicts).append(upload)
    return Judged(tuple(sorted(fresh, key=lambda u: u.key)), tuple(repeated), tuple(conflicts))


def advance(through: int, later: Iterable[int]) -> tuple[int, list[tuple[int, int]]]:
    """The new `received_through` and the gaps after it, from the old one and the numbers that arrived beyond it."""
    gaps: list[tuple[int, int]] = []
    last = through
    for seq in sorted(set(later)):
        if seq > last + 1:
            gaps.append((last + 1, seq - 1))
        last = max(last, seq)
        if not gaps:
            through = last
    return through, gaps


async def accept(conn: Connection, owner: str, uploads: Sequence[Upload]) -> Accepted:
    """Records the uploads of one owner (terminal, courier) in the caller's transaction; the caller acts on `fresh`.

    A constant number of statements. Locks the sessions first, in order, so two calls never see half of each other.
    """
    sessions = sorted({(upload.device, upload.session) for upload in uploads})
    through = await _lock_sessions(conn, owner, sessions)
    judged = judge(await _known(conn, owner, uploads), uploads)
    await _insert(conn, "sequenced", owner, judged.fresh)
    await _insert(conn, "sequenced_conflict", owner, judged.conflicts)
    later = await _later(conn, owner, sessions)
    states = {session: advance(through[session], later.get(session, [])) for session in sessions}
    await _move(conn, owner, {s: new for s, (new, _) in states.items() if new != through[s]})
    return Accepted(
        judged.fresh,
        judged.repeated,
        judged.conflicts,
        {session: state[0] for session, state in states.items()},
        {session: state[1] for session, state in states.items()},
    )


async def progress(conn: Connection, owner: str) -> dict[Session, tuple[int, list[tuple[int, int]]]]:
    """`received_through` and gaps of every session that the owner ever uploaded."""
    rows = await conn.fetch("select device, session, received_through from sequenced_session where owner = $1", owner)
    through = {(row["device"], row["session"]): row["received_through"] for row in rows}
    later = await _later(conn, owner, sorted(through))
    return {session: advance(known, later.get(session, [])) for session, known in through.items()}


async def missing(conn: Reader) -> dict[str, int]:
    """By owner, how many numbers have not arrived though later ones have: what a device recorded and did not send."""
    rows = await conn.fetch(
        "select owner, sum(last - received_through - arrived)::bigint as n from sequenced_session q cross join lateral "
        "(select count(*) as arrived, max(seq) as last from sequenced s where s.owner = q.owner "
        "and s.device = q.device and s.session = q.session and s.seq > q.received_through) as later "
        "where arrived > 0 group by owner"
    )
    return {row["owner"]: row["n"] for row in rows}


async def _lock_sessions(conn: Connection, owner: str, sessions: Sequence[Session]) -> dict[Session, int]:
    # The update changes nothing; it locks the row whether it was there or not, in one statement.
    rows = await conn.fetch(
        "insert into sequenced_session as old (owner, device, session) "
        "select $1, d, s from unnest($2::text[], $3::text[]) as r(d, s) order by d, s "
        "on conflict (owner, device, session) do update set received_through = old.received_through "
        "returning device, session, received_through",
        owner,
        [device for device, _ in sessions],
        [session for _, session in sessions],
    )
    return {(row["device"], row["session"]): row["received_through"] for row in rows}


async def _known(conn: Connection, owner: str, uploads: Sequence[Upload]) -> dict[Key, bytes]:
    rows = await conn.fetch(
        "select device, session, seq, digest from sequenced "
        "join unnest($2::text[], $3::text[], $4::bigint[]) as r(device, session, seq) using (device, session, seq) "
        "where owner = $1",
        owner,
        [upload.device for upload in uploads],
        [upload.session for upload in uploads],
        [upload.seq for upload in uploads],
    )
    return {(row["device"], row["session"], row["seq"]): row["digest"] for row in rows}


async def _insert(conn: Connection, table: str, owner: str, uploads: Sequence[Upload]) -> None:
    if not uploads:
        return
    await conn.execute(
        f"insert into {table} (owner, device, session, seq, kind, body, digest, body_hash, prev_hash, recorded_at) "  # noqa: S608
        "select $1, d, s, n, k, b::jsonb, g, h, p, t from unnest($2::text[], $3::text[], $4::bigint[], $5::text[], "
        "$6::text[], $7::bytea[], $8::text[], $9::text[], $10::timestamptz[]) as r(d, s, n, k, b, g, h, p, t) "
        + ("on conflict do nothing" if table == "sequenced_conflict" else ""),
        owner,
        [upload.device for upload in uploads],
        [upload.session for upload in uploads],
        [upload.seq for upload in uploads],
        [upload.kind for upload in uploads],
        [orjson.dumps(upload.body).decode() for upload in uploads],
        [upload.digest for upload in uploads],
        [upload.body_hash for upload in uploads],
        [upload.prev_hash for upload in uploads],
        [upload.recorded_at for upload in uploads],
    )


async def _later(conn: Connection, owner: str, sessions: Sequence[Session]) -> dict[Session, list[int]]:
    rows = await conn.fetch(
        "select device, session, array_agg(seq) as seqs from sequenced join sequenced_session using (owner, device, "
        "session) join unnest($2::text[], $3::text[]) as r(device, session) using (device, session) "
        "where owner = $1 and seq > received_through group by device, session",
        owner,
        [device for device, _ in sessions],
        [session for _, session in sessions],
    )
    return {(row["device"], row["session"]): row["seqs"] for row in rows}


async def _move(conn: Connection, owner: str, through: Mapping[Session, int]) -> None:
    if through:
        await conn.execute(
            "update sequenced_session q set received_through = t "
            "from unnest($2::text[], $3::text[], $4::bigint[]) as r(d, s, t) "
            "where q.owner = $1 and q.device = d and q.session = s",
            owner,
            [device for device, _ in through],
            [session for _, session in through],
            list(through.values()),
        )
