"""Idempotency keys: the same request again gets the same answer, another request under its key is a conflict."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel

from services.kit.database import Connection, Reader

# A request may be repeated for 14 days; one day is the margin.
KEEP_DAYS = 15
MOST_CONFLICTS = 10
"""The limit of other contents that are kept under one id."""
OTHERS = b""
"""The hash under which all further contents are counted."""
K = TypeVar("K", bound=Hashable)


class Seen(Enum):
    """The verdict on a key."""

    NEW = "new"
    REPEAT = "repeat"
    TWIN = "twin"
    CONFLICT = "conflict"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Replay:
    """The verdict on one request: NEW must be done now; REPEAT was answered with `status` and `response` before (None
    when the answer was not remembered); TWIN is the same as the request at index `twin_of` of this call; CONFLICT has
    the key of another request, FOREIGN that of another owner.
    """

    seen: Seen
    status: int | None = None
    response: bytes | None = None
    twin_of: int | None = None


def content_hash(content: BaseModel | Mapping[str, Any]) -> bytes:
    """Return the SHA-256 of the parsed content: the same for any spelling, order of fields, or offset of an instant."""
    data = content.model_dump() if isinstance(content, BaseModel) else content
    options = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS
    return hashlib.sha256(orjson.dumps(data, option=options, default=_plain)).digest()


def capped(stored: Iterable[tuple[K, bytes]], conflicts: Iterable[tuple[K, bytes]]) -> Counter[tuple[K, bytes]]:
    """Return under which (id, hash) conflicts are counted, given those that are `stored`: the first `MOST_CONFLICTS`
    contents of an id under their own hash, all others under `OTHERS`. A client can't fill the table.
    """
    known = set(stored)
    kept = Counter(id for id, content in known if content != OTHERS)
    found: Counter[tuple[K, bytes]] = Counter()
    for id, content in conflicts:
        if (id, content) not in known and kept[id] < MOST_CONFLICTS:
            known.add((id, content))
            kept[id] += 1
        found[(id, content) if (id, content) in known else (id, OTHERS)] += 1
    return found


def _plain(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) and value.tzinfo else str(value)


class KeyTable:
    """Idempotency keys with their answers."""

    def __init__(self, conn: Reader) -> None:
        self.conn = conn

    async def claim(self, scope: str, hashes: Mapping[str, bytes], owner: str | None) -> set[str]:
        """Insert the owner's keys of the scope with their hashes; return those that were new."""
        # In key order, so that two transactions with the same keys can't deadlock.
        rows = await self.conn.fetch(
            "insert into idempotency (scope, key, body_hash, owner) "
            "select $1, k, h, $4 from unnest($2::text[], $3::bytea[]) as r(k, h) order by k "
            "on conflict do nothing returning key",
            scope,
            list(hashes),
            list(hashes.values()),
            owner,
        )
        return {row["key"] for row in rows}

    async def known(self, scope: str, keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return hash, status, response and owner (`body_hash`, `status`, `response`, `owner`) by key."""
        if not keys:
            return {}
        rows = await self.conn.fetch(
            "select key, body_hash, status, response, owner from idempotency "
            "where scope = $1 and key = any($2::text[])",
            scope,
            keys,
        )
        return {row["key"]: dict(row) for row in rows}

    async def keep(self, scope: str, conflicts: Sequence[tuple[str, bytes]]) -> None:
        """Count each other content (key, hash) under a taken key, as `capped` says."""
        keys = sorted({key for key, _ in conflicts})
        rows = await self.conn.fetch(
            "select key, body_hash from idempotency_conflict where scope = $1 and key = any($2::text[])", scope, keys
        )
        counted = sorted(capped([(row["key"], row["body_hash"]) for row in rows], conflicts).items())
        await self.conn.execute(
            "insert into idempotency_conflict as old (scope, key, body_hash, seen) "
            "select $1, k, h, n from unnest($2::text[], $3::bytea[], $4::int[]) as r(k, h, n) order by k, h "
            "on conflict (scope, key, body_hash) do update set seen = old.seen + excluded.seen, last_at = now()",
            scope,
            [key for (key, _), _ in counted],
            [content for (_, content), _ in counted],
            [seen for _, seen in counted],
        )

    async def remember(self, scope: str, answers: Mapping[str, tuple[int, bytes]]) -> None:
        """Store the status and body that were answered under each key, in the transaction that claimed it."""
        if answers:
            await self.conn.execute(
                "update idempotency i set status = s, response = r "
                "from unnest($2::text[], $3::smallint[], $4::bytea[]) as a(k, s, r) where i.scope = $1 and i.key = k",
                scope,
                list(answers),
                [status for status, _ in answers.values()],
                [response for _, response in answers.values()],
            )


async def replay_or_claim(
    table: KeyTable, scope: str, keys: Sequence[str], hashes: Sequence[bytes], owner: str | None
) -> list[Replay]:
    """Return one verdict per key, in order; NEW keys are claimed for the owner until the transaction ends. Two
    statements, four with conflicts, which are recorded.

    Waits for a concurrent transaction that has claimed one of the keys, and then sees its answer.
    """
    first: dict[str, int] = {}
    for index, key in enumerate(keys):
        first.setdefault(key, index)
    claimed = await table.claim(scope, {key: hashes[index] for key, index in first.items()}, owner)
    known = await table.known(scope, [key for key in first if key not in claimed])
    verdicts = [
        _judge(hashes[index], first[key], index, hashes[first[key]], known.get(key), owner)
        for index, key in enumerate(keys)
    ]
    conflicts = [(k, h) for k, h, v in zip(keys, hashes, verdicts, strict=True) if v.seen is Seen.CONFLICT]
    if conflicts:
        await table.keep(scope, conflicts)
    return verdicts


def _judge(
    mine: bytes, first: int, index: int, firsts: bytes, known: Mapping[str, Any] | None, owner: str | None
) -> Replay:
    if known is not None:
        if known["owner"] != owner:
            return Replay(Seen.FOREIGN)
        same = mine == known["body_hash"]
        return Replay(Seen.REPEAT, known["status"], known["response"]) if same else Replay(Seen.CONFLICT)
    if first == index:
        return Replay(Seen.NEW)
    return Replay(Seen.TWIN, twin_of=first) if mine == firsts else Replay(Seen.CONFLICT)


async def prune(conn: Connection, limit: int = 5_000) -> int:
    """Delete up to `limit` requests older than 15 days; return how many."""
    done: str = await conn.execute(
        "delete from idempotency where ctid = any(array(select ctid from idempotency "
        "where created_at < now() - make_interval(days => $1) limit $2))",
        KEEP_DAYS,
        limit,
    )
    return int(done.split()[-1])
