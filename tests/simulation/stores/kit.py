"""The tables of the kit in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from contracts.values import Principal
from services.kit.consumer.dead_letters import DeadLetterTable
from services.kit.consumer.delivery import Delivery
from services.kit.http.idempotency import MOST_CONFLICTS, KeyTable, capped
from services.kit.transaction.access_log import Access, AccessFilter, AccessLogTable, Shown
from services.kit.transaction.deadlines import Deadline, DeadlineTable
from services.kit.transaction.inbox import InboxTable
from services.kit.transaction.outbox import OutboxTable, Outgoing, Row
from services.kit.uploads.kept import KeptTable
from services.kit.uploads.sessions import Known, Progress, SessionTable
from services.kit.uploads.upload import Key, Session, Upload
from tests.simulation.memory import Transaction


class MemoryInbox:
    """The ids of processed events."""

    def __init__(self, conn: Transaction) -> None:
        self.conn = conn

    async def claim(self, consumer: str, ids: Iterable[UUID]) -> set[UUID]:
        await self.conn.statement()
        fresh = set()
        for id in sorted(set(ids)):
            key = (consumer, id)
            if not self.conn.get("inbox", key):
                await self.conn.lock("inbox", key)
                if not self.conn.get("inbox", key):
                    self.conn.put("inbox", key, True)
                    fresh.add(id)
        return fresh


class MemoryOutbox:
    """The rows that wait for the relay, and the archive."""

    def __init__(self, conn: Any) -> None:
        self.conn = conn

    async def write(self, rows: Sequence[Outgoing]) -> None:
        if not rows:
            return
        await self.conn.statement()
        counts = Counter((row.topic, row.subject) for row in rows)
        numbers: dict[tuple[str, str], Iterator[int]] = {}
        for pair, count in sorted(counts.items()):
            await self.conn.lock("outbox_seq", pair)
            last = self.conn.get("outbox_seq", pair) or 0
            self.conn.put("outbox_seq", pair, last + count)
            numbers[pair] = iter(range(last + 1, last + count + 1))
        seqs = [next(numbers[row.topic, row.subject]) for row in rows]
        for row, seq in zip(rows, seqs, strict=True):
            id = self.conn.db.next("outbox")
            headers = row.headers | {"ce_seq": str(seq)}
            self.conn.put(
                "outbox", id, Row(id, row.topic, row.key, row.subject, row.event_id, headers, row.payload, 0.0)
            )
        await self.conn.statement()

    async def page(self, limit: int, _but: Sequence[Row] = ()) -> list[Row]:
        await self.conn.statement()
        found = self.conn.rows("outbox")
        return [found[id] for id in sorted(found)[:limit]]  # type: ignore[type-var]

    async def archive(self, acked: Sequence[tuple[int, int, int]]) -> None:
        await self.conn.statement()
        rows, sent = self.conn.db.tables["outbox"], self.conn.db.tables["outbox_sent"]
        for id, partition, offset in acked:
            if row := rows.pop(id, None):
                sent[id] = (row, partition, offset)


class MemoryDeadlines:
    """The deadlines that are set."""

    def __init__(self, conn: Transaction) -> None:
        self.conn = conn

    async def save(self, changes: Mapping[tuple[str, str], Deadline | None]) -> None:
        await self.conn.statement()
        for key in sorted(key for key, deadline in changes.items() if deadline is None):
            await self.conn.lock("deadline", key)
            self.conn.delete("deadline", key)
        for key, found in sorted((key, deadline) for key, deadline in changes.items() if deadline is not None):
            await self.conn.lock("deadline", key)
            token = self.conn.db.next("deadline")
            if self.conn.get("deadline", key):  # PostgreSQL has taken a number before it sees the conflict
                token = self.conn.db.next("deadline")
            self.conn.put("deadline", key, replace(found, token=token))

    async def overdue(self, business: datetime, real: datetime, limit: int) -> list[Deadline]:
        await self.conn.statement()
        due: list[Deadline] = sorted(self.conn.rows("deadline").values(), key=lambda d: (d.real, d.due_at))
        passed = [d for d in due if d.due_at <= (real if d.real else business)]
        return [d for d in passed if not d.real][:limit] + [d for d in passed if d.real][:limit]

    async def claim(self, tokens: Sequence[int]) -> set[int]:
        await self.conn.statement()
        wanted, claimed = set(tokens), set()
        for key, found in list(self.conn.rows("deadline").items()):
            if found.token in wanted:
                await self.conn.lock("deadline", key)
                now = self.conn.get("deadline", key)
                if now and now.token == found.token:
                    self.conn.delete("deadline", key)
                    claimed.add(found.token)
        return claimed


class MemoryDeadLetters:
    """The dead letters and the scopes that they block."""

    def __init__(self, conn: Transaction) -> None:
        self.conn = conn

    async def blocked(self, consumer: str, scopes: Iterable[str]) -> set[str]:
        await self.conn.statement()
        hit = sorted(scope for scope in set(scopes) if self.conn.get("parked_scope", (consumer, scope)))
        await self.conn.lock_all("parked_scope", [(consumer, scope) for scope in hit])
        return {scope for scope in hit if self.conn.get("parked_scope", (consumer, scope))}

    async def store(self, consumer: str, deliveries: Sequence[tuple[Delivery, str]]) -> set[str]:
        await self.conn.statement()
        new = set()
        for delivery, scope in deliveries:
            if not self.conn.get("parked_scope", (consumer, scope)):
                self.conn.put("parked_scope", (consumer, scope), True)
                new.add(scope)
            self.conn.put("parked", self.conn.db.next("parked"), (consumer, scope, delivery))
        return new

    async def remove(self, scopes: Sequence[Any]) -> None:
        await self.conn.statement()
        for scope in scopes:
            self.conn.delete("kept", scope)

    async def failed_again(self, _id: Any, _error: str) -> None:
        """Keep no count of tries."""

    async def unblock(self, _consumer: str, _scope: str) -> None:
        """A kept upload leaves with its row."""


class MemorySessions:
    """An owner's sessions and uploads."""

    def __init__(self, conn: Transaction) -> None:
        self.conn = conn

    async def lock(self, owner: str, sessions: Sequence[Session], now: datetime) -> None:
        await self.conn.statement()
        for session in sessions:
            await self.conn.lock("sequenced_session", (owner, *session))
            if self.conn.get("sequenced_session", (owner, *session)) is None:
                self.conn.put("sequenced_session", (owner, *session), Progress(0, 0, (), now))

    async def progress(self, owner: str) -> dict[Session, Progress]:
        await self.conn.statement()
        rows: Any = self.conn.rows("sequenced_session").items()
        return {(device, session): state for (whose, device, session), state in sorted(rows) if whose == owner}

    async def known(self, owner: str, uploads: Sequence[Upload]) -> dict[Key, Known]:
        await self.conn.statement()
        keys = {(u.device, u.session, seq) for u in uploads for seq in (u.seq - 1, u.seq, u.seq + 1)}
        found = {key: self.conn.get("sequenced", (owner, *key)) for key in sorted(keys)}
        return {key: known for key, known in found.items() if known is not None}

    async def insert(self, owner: str, uploads: Sequence[Upload], broken: Collection[Key]) -> None:
        if uploads:
            await self.conn.statement()
        for upload in uploads:
            self.conn.insert(
                "sequenced", (owner, *upload.key), Known.of(upload)._replace(chain_broken=upload.key in broken)
            )

    async def insert_conflicts(self, owner: str, uploads: Sequence[Upload]) -> list[Upload]:
        if uploads:
            await self.conn.statement()
        new = []
        for upload in uploads:
            key = (owner, *upload.key, upload.digest)
            rows: Any = self.conn.rows("sequenced_conflict").items()
            same = [row for stored, row in rows if stored[:4] == key[:4] and row.signed_by == upload.signed_by]
            if not self.conn.get("sequenced_conflict", key) and len(same) < MOST_CONFLICTS:
                self.conn.put("sequenced_conflict", key, upload)
                new.append(upload)
        return new

    async def move(self, owner: str, sessions: Mapping[Session, Progress], broken: Sequence[Key]) -> None:
        await self.conn.statement()
        for session, state in sessions.items():
            self.conn.put("sequenced_session", (owner, *session), state)
        for key in broken:
            self.conn.put(
                "sequenced", (owner, *key), self.conn.get("sequenced", (owner, *key))._replace(chain_broken=True)
            )

    async def successors(self, owner: str, links: Collection[str]) -> list[tuple[Key, str]]:
        await self.conn.statement()
        rows: Any = self.conn.rows("sequenced").items()
        return [
            (key[1:], known.prev_hash)
            for key, known in sorted(rows)
            if key[0] == owner and known.signed and known.prev_hash in links
        ]

    async def mark_forked(self, owner: str, keys: Sequence[Key]) -> None:
        await self.conn.statement()
        for key in keys:
            self.conn.put("forked", (owner, *key), True)

    async def settle(self, owner: str, upload: Upload, fault: str) -> None:
        await self.conn.statement()
        key = (owner, *upload.key)
        known = self.conn.get("sequenced", key)
        self.conn.put("sequenced", key, known._replace(kept=fault or None, quarantined=False))


class MemoryKept:
    """Kept uploads among the dead letters."""

    def __init__(self, conn: Transaction) -> None:
        self.conn = conn

    async def insert(self, consumer: str, found: Sequence[tuple[Any, ...]]) -> None:
        await self.conn.statement()
        for scope, _event, _seq, headers, given, _fault in found:
            self.conn.insert("kept", scope, (headers, given))

    async def waiting(self, _consumer: str, scope: str) -> tuple[Any, dict[str, str], bytes] | None:
        await self.conn.statement()
        await self.conn.lock("kept", scope)
        row = self.conn.get("kept", scope)
        return (scope, orjson.loads(row[0]), row[1]) if row else None


class MemoryKeys:
    """Idempotency keys with their answers."""

    def __init__(self, conn: Transaction) -> None:
        self.conn = conn

    async def claim(self, scope: str, hashes: Mapping[str, bytes], owner: str | None) -> set[str]:
        await self.conn.statement()
        claimed = set()
        for key in sorted(hashes):
            await self.conn.lock("idempotency", (scope, key))
            if not self.conn.get("idempotency", (scope, key)):
                row = {"body_hash": hashes[key], "status": None, "response": None, "owner": owner}
                self.conn.put("idempotency", (scope, key), row)
                claimed.add(key)
        return claimed

    async def known(self, scope: str, keys: Sequence[str]) -> dict[str, Any]:
        return {key: self.conn.get("idempotency", (scope, key)) for key in keys}

    async def keep(self, scope: str, conflicts: Sequence[tuple[str, bytes]]) -> None:
        stored = [row[1:] for row in self.conn.rows("idempotency_conflict") if row[0] == scope]  # type: ignore[index]
        for (key, content), seen in capped(stored, conflicts).items():
            before = self.conn.get("idempotency_conflict", (scope, key, content)) or 0
            self.conn.put("idempotency_conflict", (scope, key, content), before + seen)

    async def remember(self, scope: str, answers: Mapping[str, tuple[int, bytes]]) -> None:
        await self.conn.statement()
        for key, (status, response) in answers.items():
            known = self.conn.get("idempotency", (scope, key))
            self.conn.put("idempotency", (scope, key), known | {"status": status, "response": response})


class MemoryAccessLog:
    """The rows of the access log, all at one time."""

    def __init__(self, conn: Transaction) -> None:
        self.conn = conn

    async def append(
        self,
        caller: Principal,
        action: str,
        records: Mapping[str, Collection[Shown]],
        request: str | None,
        *,
        hourly: bool = False,
    ) -> None:
        await self.conn.statement()
        stored: list[Access] = list(self.conn.rows("access_log").values())
        for record, shown in records.items():
            about = (caller.subject, action, record)
            before = [one for one in stored if (one.subject, one.action, one.record) == about]
            if not (hourly and any({*one.fields} >= {*shown} for one in before)):
                id, who = self.conn.db.next("access_log"), (caller.tenant, caller.subject, caller.kind)
                row = Access(id, datetime.now(UTC), *who, action, record, sorted(shown), request)
                self.conn.put("access_log", id, row)

    async def listing(self, wanted: AccessFilter, after: int, limit: int) -> list[Access]:
        await self.conn.statement()
        found: list[Access] = [row for _, row in sorted(self.conn.rows("access_log").items())]  # type: ignore[type-var]
        return [
            row
            for row in found
            if row.id > after
            and row.tenant == wanted.tenant
            and wanted.record in {None, row.record}
            and wanted.subject in {None, row.subject}
            and (wanted.since is None or wanted.since <= row.at)
            and (wanted.until is None or row.at < wanted.until)
        ][:limit]


TABLES = {
    AccessLogTable: MemoryAccessLog,
    InboxTable: MemoryInbox,
    OutboxTable: MemoryOutbox,
    DeadlineTable: MemoryDeadlines,
    DeadLetterTable: MemoryDeadLetters,
    SessionTable: MemorySessions,
    KeptTable: MemoryKept,
    KeyTable: MemoryKeys,
}
"""The stand-ins by the class of the table in PostgreSQL."""
