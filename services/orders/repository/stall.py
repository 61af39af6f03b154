"""What is known of a stall terminal, and how its uploads are written."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from contracts.events.orders import SaleLine
from services.kit.sequenced import Key
from services.orders.domain.terminal import Close, Sale, Session, SessionKey, Stall, Upload, Void
from services.orders.repository.rows import Connection, insert

_UPLOAD = {
    "sale": "uuid",
    "terminal": "text",
    "pool": "text",
    "device": "text",
    "session": "text",
    "seq": "bigint",
    "recorded_at": "timestamptz",
    "received_at": "timestamptz",
}
_SALE = {**_UPLOAD, "lines": "jsonb", "total_fen": "bigint"}
_LINE = {
    "sale": "uuid",
    "line": "integer",
    "terminal": "text",
    "pool": "text",
    "item": "text",
    "quantity": "bigint",
    "amount_fen": "bigint",
}
_SESSION = {
    "terminal": "text",
    "device": "text",
    "session": "text",
    "pool": "text",
    "float_fen": "bigint",
    "taken_fen": "bigint",
    "last_seq": "bigint",
    "cash_fen": "bigint",
    "close_seq": "bigint",
    "closed_at": "timestamptz",
    "complete": "boolean",
}


async def lock_terminal(conn: Connection, terminal: str) -> dict[str, Any] | None:
    """Locks the terminal's head row, which is its catalogue entry, and returns that; None when there is none."""
    row = await conn.fetchrow("select body from catalog where kind = 'terminals' and id = $1 for update", terminal)
    return orjson.loads(row["body"]) if row else None


async def load_stall(conn: Connection, terminal: str, sales: Collection[UUID]) -> Stall:
    """The terminal's sessions, and what any terminal has said about these sales."""
    sold = await conn.fetch("select * from stall_sale where sale = any($1::uuid[])", list(sales))
    voided = await conn.fetch("select * from stall_void where sale = any($1::uuid[])", list(sales))
    sessions = await conn.fetch("select * from stall_session where terminal = $1", terminal)
    return Stall(
        sales={row["sale"]: _upload(row, Sale(row["sale"], _lines(row["lines"]))) for row in sold},
        voids={row["sale"]: _upload(row, Void(row["sale"])) for row in voided},
        sessions={(row["device"], row["session"]): _session(row) for row in sessions},
    )


async def save_stall(conn: Connection, terminal: str, before: Stall, after: Stall, now: datetime) -> None:
    """Writes what uploads have changed: new sales and voids, and the sessions that moved."""
    sales = [u for sale, u in sorted(after.sales.items()) if sale not in before.sales]
    await insert(conn, "stall_sale", _SALE, [row for u in sales for row in _sale_row(u, now)])
    await insert(conn, "stall_sale_line", _LINE, [row for u in sales for row in _line_rows(u)])
    voids = [(sale, *_origin(u, now)) for sale, u in sorted(after.voids.items()) if sale not in before.voids]
    await insert(conn, "stall_void", _UPLOAD, voids)
    moved = [(k, s) for k, s in sorted(after.sessions.items()) if before.sessions.get(k) != s]
    names = [name for name in _SESSION if name not in {"terminal", "device", "session"}]
    changes = ", ".join(f"{name} = excluded.{name}" for name in names)
    tail = f"on conflict (terminal, device, session) do update set {changes}"
    await insert(conn, "stall_session", _SESSION, [_session_row(terminal, k, s) for k, s in moved], tail)


async def conflicts_known(conn: Connection, owner: str, keys: Sequence[Key]) -> tuple[dict[Key, bytes], set[Any]]:
    """By upload number: the digest that stands, and which other digests were kept as conflicts already."""
    arrays = [[key[n] for key in keys] for n in range(3)]
    wanted = "join unnest($2::text[], $3::text[], $4::bigint[]) as r(device, session, seq) using (device, session, seq)"
    stands = await conn.fetch(
        f"select device, session, seq, digest from sequenced {wanted} where owner = $1",  # noqa: S608
        owner,
        *arrays,
    )
    kept = await conn.fetch(
        f"select device, session, seq, digest from sequenced_conflict {wanted} where owner = $1",  # noqa: S608
        owner,
        *arrays,
    )
    return {tuple(row)[:3]: row["digest"] for row in stands}, {(tuple(row)[:3], row["digest"]) for row in kept}


def _upload(row: asyncpg.Record, body: Sale | Void) -> Upload:
    return Upload(row["terminal"], row["pool"], row["device"], row["session"], row["seq"], row["recorded_at"], body)


def _lines(text: str) -> tuple[SaleLine, ...]:
    return tuple(SaleLine.model_validate(line) for line in orjson.loads(text))


def _origin(upload: Upload, now: datetime) -> tuple[Any, ...]:
    return upload.terminal, upload.pool, upload.device, upload.session, upload.seq, upload.recorded_at, now


def _sale_row(upload: Upload, now: datetime) -> list[tuple[Any, ...]]:
    if not isinstance(upload.body, Sale):
        return []
    lines = orjson.dumps([line.model_dump() for line in upload.body.lines]).decode()
    return [(upload.body.sale, *_origin(upload, now), lines, upload.body.total_fen)]


def _line_rows(upload: Upload) -> list[tuple[Any, ...]]:
    if not isinstance(upload.body, Sale):
        return []
    sale, lines = upload.body.sale, enumerate(upload.body.lines, 1)
    return [(sale, n, upload.terminal, upload.pool, one.item, one.quantity, one.amount_fen) for n, one in lines]


def _session(row: asyncpg.Record) -> Session:
    return Session(row["pool"], row["float_fen"], row["taken_fen"], _manifest(row), row["complete"])


def _manifest(row: asyncpg.Record) -> Upload | None:
    if row["last_seq"] is None:
        return None
    place = (row["terminal"], row["pool"], row["device"], row["session"], row["close_seq"], row["closed_at"])
    return Upload(*place, Close(row["last_seq"], row["cash_fen"]))


def _session_row(terminal: str, key: SessionKey, session: Session) -> tuple[Any, ...]:
    closing = session.manifest
    close = closing.body if closing and isinstance(closing.body, Close) else None
    return (
        terminal,
        *key,
        session.pool,
        session.float_fen,
        session.taken_fen,
        close.last_seq if close else None,
        close.cash_fen if close else None,
        closing.seq if closing else None,
        closing.recorded_at if closing else None,
        session.complete,
    )
