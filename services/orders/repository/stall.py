"""What is known of a stall terminal, and how its uploads are written."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from contracts.events.orders import SaleLine
from services.orders.domain.stall import Close, Sale, Session, SessionKey, Stall, StallUpload, Void
from services.orders.repository.order_rows import Connection, insert

_UPLOAD = {
    "sale": "uuid",
    "terminal": "text",
    "pool": "text",
    "device": "text",
    "session": "text",
    "seq": "bigint",
    "recorded_at": "timestamptz",
    "clock_invalid": "boolean",
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
    "adjusted_fen": "bigint",
    "last_seq": "bigint",
    "cash_fen": "bigint",
    "close_seq": "bigint",
    "closed_at": "timestamptz",
    "close_clock_invalid": "boolean",
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


async def bind_device(conn: Connection, terminal: str, device: str) -> tuple[str | None, bool]:
    """Makes the device the terminal's active one if it has none; the active one (None after a reset), and whether this
    device was the active one before a reset. Call it under `lock_terminal`.
    """
    row = await conn.fetchrow(
        "insert into terminal_device as old (terminal, device) values ($1, $2) on conflict (terminal) do update "
        "set device = coalesce(old.device, case when $2 = any(old.retired) then null else $2 end) "
        "returning device, $2 = any(retired) as retired",
        terminal,
        device,
    )
    assert row is not None
    return row["device"], row["retired"]


async def reset_device(conn: Connection, terminal: str, device: str | None) -> list[str]:
    """Retires the active device, so that the next new one, or `device` alone, becomes active; all retired ones."""
    row = await conn.fetchrow(
        "insert into terminal_device as old (terminal, device) values ($1, $2) on conflict (terminal) do update "
        "set device = $2, retired = array(select distinct r from unnest(array_append(old.retired, old.device)) as r "
        "where r is distinct from $2 and r is not null order by r) returning retired",
        terminal,
        device,
    )
    return list(row["retired"]) if row else []


def _upload(row: asyncpg.Record, body: Sale | Void) -> StallUpload:
    names = ("terminal", "pool", "device", "session", "seq", "recorded_at", "clock_invalid")
    return StallUpload(**{name: row[name] for name in names}, body=body)


def _lines(text: str) -> tuple[SaleLine, ...]:
    return tuple(SaleLine.model_validate(line) for line in orjson.loads(text))


def _origin(upload: StallUpload, now: datetime) -> tuple[Any, ...]:
    place = (upload.terminal, upload.pool, upload.device, upload.session, upload.seq)
    return *place, upload.recorded_at, upload.clock_invalid, now


def _sale_row(upload: StallUpload, now: datetime) -> list[tuple[Any, ...]]:
    if not isinstance(upload.body, Sale):
        return []
    lines = orjson.dumps([line.model_dump() for line in upload.body.lines]).decode()
    return [(upload.body.sale, *_origin(upload, now), lines, upload.body.total_fen)]


def _line_rows(upload: StallUpload) -> list[tuple[Any, ...]]:
    if not isinstance(upload.body, Sale):
        return []
    sale, lines = upload.body.sale, enumerate(upload.body.lines, 1)
    return [(sale, n, upload.terminal, upload.pool, one.item, one.quantity, one.amount_fen) for n, one in lines]


def _session(row: asyncpg.Record) -> Session:
    figures = (row["float_fen"], row["taken_fen"], row["adjusted_fen"])
    return Session(row["pool"], *figures, _manifest(row), row["complete"])


def _manifest(row: asyncpg.Record) -> StallUpload | None:
    if row["last_seq"] is None:
        return None
    place = (row["terminal"], row["pool"], row["device"], row["session"], row["close_seq"], row["closed_at"])
    return StallUpload(*place, Close(row["last_seq"], row["cash_fen"]), row["close_clock_invalid"])


def _session_row(terminal: str, key: SessionKey, session: Session) -> tuple[Any, ...]:
    closing = session.manifest
    close = closing.body if closing and isinstance(closing.body, Close) else None
    return (
        terminal,
        *key,
        session.pool,
        session.float_fen,
        session.taken_fen,
        session.adjusted_fen,
        close.last_seq if close else None,
        close.cash_fen if close else None,
        closing.seq if closing else None,
        closing.recorded_at if closing else None,
        closing.clock_invalid if closing else False,
        session.complete,
    )
