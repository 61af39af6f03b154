"""The kit's tables in memory: a replacement for each function of the kit that holds SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from services.kit.consumer import dead_letters
from services.kit.consumer.delivery import Delivery
from services.kit.http import idempotency
from services.kit.transaction import deadlines, inbox, outbox
from services.kit.transaction.deadlines import Deadline
from services.kit.transaction.outbox import Outgoing, Row
from services.kit.transaction.unit_of_work import UnitOfWork
from services.kit.uploads import kept
from services.kit.uploads import sessions as sequenced_table
from services.kit.uploads.sessions import Known, Progress
from services.kit.uploads.upload import Key, Session, Upload
from tests.simulation.memory import Reader, Transaction


async def claim_events(conn: Transaction, consumer: str, ids: Iterable[UUID]) -> set[UUID]:
    await conn.statement()
    fresh = set()
    for id in sorted(set(ids)):
        key = (consumer, id)
        if conn.get("inbox", key):
            continue
        await conn.lock("inbox", key)
        if not conn.get("inbox", key):
            conn.put("inbox", key, True)
            fresh.add(id)
    return fresh


async def write_outbox(conn: Transaction, rows: Sequence[Outgoing]) -> None:
    if not rows:
        return
    await conn.statement()
    counts = Counter((row.topic, row.subject) for row in rows)
    numbers: dict[tuple[str, str], Iterator[int]] = {}
    for pair, count in sorted(counts.items()):
        await conn.lock("outbox_seq", pair)
        last = conn.get("outbox_seq", pair) or 0
        conn.put("outbox_seq", pair, last + count)
        numbers[pair] = iter(range(last + 1, last + count + 1))
    seqs = [next(numbers[row.topic, row.subject]) for row in rows]
    for row, seq in zip(rows, seqs, strict=True):
        id = conn.db.next("outbox")
        headers = row.headers | {"ce_seq": str(seq)}
        conn.put("outbox", id, Row(id, row.topic, row.key, row.subject, row.event_id, headers, row.payload, 0.0))
    await conn.statement()


async def page(conn: Reader, limit: int) -> list[Row]:
    await conn.statement()
    found = conn.rows("outbox")
    return [found[id] for id in sorted(found)[:limit]]  # type: ignore[type-var]


async def archive(conn: Reader, acked: Sequence[tuple[int, int, int]]) -> None:
    await conn.statement()
    rows, sent = conn.db.tables["outbox"], conn.db.tables["outbox_sent"]
    for id, partition, offset in acked:
        if row := rows.pop(id, None):
            sent[id] = (row, partition, offset)


async def save_deadlines(conn: Transaction, changes: Mapping[tuple[str, str], Deadline | None]) -> None:
    await conn.statement()
    for key in sorted(key for key, deadline in changes.items() if deadline is None):
        await conn.lock("deadline", key)
        conn.delete("deadline", key)
    for key, found in sorted((key, deadline) for key, deadline in changes.items() if deadline is not None):
        await conn.lock("deadline", key)
        token = conn.db.next("deadline")
        if conn.get("deadline", key):  # PostgreSQL has taken a number before it sees the conflict
            token = conn.db.next("deadline")
        conn.put("deadline", key, replace(found, token=token))


async def overdue(pool: Reader, business: datetime, real: datetime, limit: int) -> list[Deadline]:
    await pool.statement()
    due: list[Deadline] = sorted(pool.rows("deadline").values(), key=lambda d: (d.real, d.due_at))
    passed = [d for d in due if d.due_at <= (real if d.real else business)]
    return [d for d in passed if not d.real][:limit] + [d for d in passed if d.real][:limit]


async def claim_deadlines(conn: Transaction, tokens: Sequence[int]) -> set[int]:
    await conn.statement()
    wanted, claimed = set(tokens), set()
    for key, found in list(conn.rows("deadline").items()):
        if found.token in wanted:
            await conn.lock("deadline", key)
            now = conn.get("deadline", key)
            if now and now.token == found.token:
                conn.delete("deadline", key)
                claimed.add(found.token)
    return claimed


async def blocked(conn: Transaction, consumer: str, scopes: Iterable[str]) -> set[str]:
    await conn.statement()
    hit = sorted(scope for scope in set(scopes) if conn.get("parked_scope", (consumer, scope)))
    await conn.lock_all("parked_scope", [(consumer, scope) for scope in hit])
    return {scope for scope in hit if conn.get("parked_scope", (consumer, scope))}


async def store_dead_letters(uow: UnitOfWork, deliveries: Sequence[tuple[Delivery, str]]) -> None:
    conn: Any = uow.conn
    await conn.statement()
    for delivery, scope in deliveries:
        if not conn.get("parked_scope", (uow.consumer, scope)):
            conn.put("parked_scope", (uow.consumer, scope), True)
            uow.report(dead_letters.notice(uow.consumer, delivery, scope))
        conn.put("parked", conn.db.next("parked"), (uow.consumer, scope, delivery))


async def lock_sessions(conn: Transaction, owner: str, sessions: Sequence[Session], now: datetime) -> None:
    await conn.statement()
    for session in sessions:
        await conn.lock("sequenced_session", (owner, *session))
        if conn.get("sequenced_session", (owner, *session)) is None:
            conn.put("sequenced_session", (owner, *session), Progress(0, 0, (), now))


async def progress(conn: Reader, owner: str) -> dict[Session, Progress]:
    await conn.statement()
    rows: Any = conn.rows("sequenced_session").items()
    return {(device, session): state for (whose, device, session), state in sorted(rows) if whose == owner}


async def known_uploads(conn: Transaction, owner: str, uploads: Sequence[Upload]) -> dict[Key, Known]:
    await conn.statement()
    keys = {(u.device, u.session, seq) for u in uploads for seq in (u.seq - 1, u.seq, u.seq + 1)}
    found = {key: conn.get("sequenced", (owner, *key)) for key in sorted(keys)}
    return {key: known for key, known in found.items() if known is not None}


async def insert_uploads(conn: Transaction, owner: str, uploads: Sequence[Upload], broken: Collection[Key]) -> None:
    if uploads:
        await conn.statement()
    for upload in uploads:
        conn.insert("sequenced", (owner, *upload.key), Known.of(upload)._replace(chain_broken=upload.key in broken))


async def insert_conflicts(conn: Transaction, owner: str, uploads: Sequence[Upload]) -> list[Upload]:
    if uploads:
        await conn.statement()
    new = []
    for upload in uploads:
        key = (owner, *upload.key, upload.digest)
        if not conn.get("sequenced_conflict", key):
            conn.put("sequenced_conflict", key, True)
            new.append(upload)
    return new


async def move_sessions(
    conn: Transaction, owner: str, sessions: Mapping[Session, Progress], broken: Sequence[Key]
) -> None:
    await conn.statement()
    for session, state in sessions.items():
        conn.put("sequenced_session", (owner, *session), state)
    for key in broken:
        conn.put("sequenced", (owner, *key), conn.get("sequenced", (owner, *key))._replace(chain_broken=True))


async def park_uploads(conn: Transaction, consumer: str, found: Sequence[tuple[Any, ...]]) -> None:
    await conn.statement()
    for scope, _event, _seq, headers, given, _fault in found:
        conn.insert("kept", scope, (headers, given))


async def kept_upload(conn: Transaction, _consumer: str, scope: str) -> tuple[Any, dict[str, str], bytes] | None:
    await conn.statement()
    await conn.lock("kept", scope)
    row = conn.get("kept", scope)
    return (scope, orjson.loads(row[0]), row[1]) if row else None


async def settle_upload(conn: Transaction, owner: str, upload: Upload, fault: str) -> None:
    await conn.statement()
    key = (owner, *upload.key)
    conn.put("sequenced", key, conn.get("sequenced", key)._replace(kept=fault or None))


async def forget_uploads(conn: Transaction, scopes: Sequence[Any]) -> None:
    await conn.statement()
    for scope in scopes:
        conn.delete("kept", scope)


async def claim_keys(conn: Transaction, scope: str, hashes: Mapping[str, bytes]) -> set[str]:
    await conn.statement()
    claimed = set()
    for key in sorted(hashes):
        await conn.lock("idempotency", (scope, key))
        if not conn.get("idempotency", (scope, key)):
            conn.put("idempotency", (scope, key), {"body_hash": hashes[key], "status": None, "response": None})
            claimed.add(key)
    return claimed


async def known_keys(conn: Transaction, scope: str, keys: Sequence[str]) -> dict[str, Any]:
    return {key: conn.get("idempotency", (scope, key)) for key in keys}


async def keep_conflicts(conn: Transaction, scope: str, conflicts: Sequence[tuple[str, bytes]]) -> None:
    for key, content in conflicts:
        conn.put("idempotency_conflict", (scope, key, content), True)


async def remember(conn: Transaction, scope: str, answers: Mapping[str, tuple[int, bytes]]) -> None:
    await conn.statement()
    for key, (status, response) in answers.items():
        known = conn.get("idempotency", (scope, key))
        conn.put("idempotency", (scope, key), known | {"status": status, "response": response})


async def nothing_to_do(_conn: Reader, *_more: Any) -> None:
    """Skip housekeeping of old rows; a run has none."""


SEAMS: tuple[tuple[Any, str, Any], ...] = (
    (inbox, "claim", claim_events),
    (outbox, "write", write_outbox),
    (outbox, "page", page),
    (outbox, "archive", archive),
    (deadlines, "save", save_deadlines),
    (deadlines, "overdue", overdue),
    (deadlines, "claim", claim_deadlines),
    (dead_letters, "blocked", blocked),
    (dead_letters, "store", store_dead_letters),
    (sequenced_table, "lock", lock_sessions),
    (sequenced_table, "progress", progress),
    (sequenced_table, "known", known_uploads),
    (sequenced_table, "insert", insert_uploads),
    (sequenced_table, "insert_conflicts", insert_conflicts),
    (sequenced_table, "move", move_sessions),
    (sequenced_table, "settle", settle_upload),
    (kept, "_insert", park_uploads),
    (kept, "_waiting", kept_upload),
    (dead_letters, "remove", forget_uploads),
    (dead_letters, "failed_again", nothing_to_do),
    (dead_letters, "unblock", nothing_to_do),
    (idempotency, "_claim", claim_keys),
    (idempotency, "_known", known_keys),
    (idempotency, "_keep", keep_conflicts),
    (idempotency, "remember", remember),
)
