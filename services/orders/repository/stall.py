"""Loads and saves the uploads of stall terminals, their devices, and the allotments that inventory grants them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from contracts.events.inventory import AllotmentEvent
from contracts.events.orders import SaleLine
from services.orders.domain.stall import Close, Sale, Session, SessionKey, Stall, StallUpload, Void
from services.orders.repository import statements
from services.orders.repository.rows import Row
from services.orders.repository.statements import Connection

_UPLOAD = tuple(f.name for f in fields(StallUpload) if f.name != "body")
_FIGURES = tuple(f.name for f in fields(Session) if f.name != "manifest")
_ALLOTMENT = ("terminal", "pool", "item", "granted_total", "returned_total", "version", "lease_until")


async def lock_terminal(conn: Connection, terminal: str) -> dict[str, Any] | None:
    """Lock the terminal's head row, which is its catalogue entry, and return that; None when there is none."""
    row = await conn.fetchrow("select body from catalog where kind = 'terminals' and id = $1 for update", terminal)
    return orjson.loads(row["body"]) if row else None


async def load_stall(conn: Connection, terminal: str, sales: Collection[UUID]) -> Stall:
    """Read the terminal's sessions, and these sales and their voids by any terminal."""
    sold = await conn.fetch("select * from stall_sale where sale = any($1::uuid[])", list(sales))
    voided = await conn.fetch("select * from stall_void where sale = any($1::uuid[])", list(sales))
    sessions = await conn.fetch("select * from stall_session where terminal = $1", terminal)
    return Stall(
        sales={row["sale"]: _upload_of(row, Sale(row["sale"], _lines_of(row["lines"]))) for row in sold},
        voids={row["sale"]: _upload_of(row, Void(row["sale"])) for row in voided},
        sessions={(row["device"], row["session"]): _session_of(row) for row in sessions},
    )


async def save_stall(conn: Connection, terminal: str, before: Stall, after: Stall, now: datetime) -> None:
    """Write the changes of uploads: new sales and voids, and changed sessions."""
    uploads = [upload for sale, upload in sorted(after.sales.items()) if sale not in before.sales]
    sales = [(upload, upload.body) for upload in uploads if isinstance(upload.body, Sale)]
    await statements.write(conn, statements.SALES, [_sale_row(upload, sale, now) for upload, sale in sales])
    lines = [row for upload, sale in sales for row in _line_rows(upload, sale)]
    await statements.write(conn, statements.SALE_LINES, lines)
    voids = [(sale, upload) for sale, upload in sorted(after.voids.items()) if sale not in before.voids]
    await statements.write(conn, statements.VOIDS, [_upload_row(upload, sale, now) for sale, upload in voids])
    sessions = [(key, one) for key, one in sorted(after.sessions.items()) if before.sessions.get(key) != one]
    await statements.write(conn, statements.SESSIONS, [_session_row(terminal, key, one) for key, one in sessions])


async def bind_device(conn: Connection, terminal: str, device: str) -> tuple[str | None, bool]:
    """Make the device the terminal's active one where it has none. Return the active device (None after a reset), and
    whether this device was retired by a reset. Call it under `lock_terminal`.
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
    """Retire the active device, so that the next new one, or `device` alone, becomes active. Return all retired
    ones.
    """
    row = await conn.fetchrow(
        "insert into terminal_device as old (terminal, device) values ($1, $2) on conflict (terminal) do update "
        "set device = $2, retired = array(select distinct r from unnest(array_append(old.retired, old.device)) as r "
        "where r is distinct from $2 and r is not null order by r) returning retired",
        terminal,
        device,
    )
    return list(row["retired"]) if row else []


async def save_allotments(conn: Connection, allotments: Mapping[tuple[str, str, str], AllotmentEvent]) -> None:
    """Store cumulative totals; a version that is not newer than the stored one changes nothing."""
    events = [event for _, event in sorted(allotments.items())]
    rows = [{name: getattr(event, name) for name in _ALLOTMENT} for event in events]
    await statements.write(conn, statements.ALLOTMENTS, rows)


def _upload_of(row: asyncpg.Record, body: Sale | Void) -> StallUpload:
    return StallUpload(**{name: row[name] for name in _UPLOAD}, body=body)


def _lines_of(text: str) -> tuple[SaleLine, ...]:
    return tuple(SaleLine.model_validate(line) for line in orjson.loads(text))


def _upload_row(upload: StallUpload, sale: UUID, now: datetime) -> Row:
    return {name: getattr(upload, name) for name in _UPLOAD} | {"sale": sale, "received_at": now}


def _sale_row(upload: StallUpload, sale: Sale, now: datetime) -> Row:
    lines = [line.model_dump() for line in sale.lines]
    return _upload_row(upload, sale.sale, now) | {"lines": lines, "total_fen": sale.total_fen}


def _line_rows(upload: StallUpload, sale: Sale) -> list[Row]:
    place = {"sale": sale.sale, "terminal": upload.terminal, "pool": upload.pool}
    return [place | {"line": n} | line.model_dump() for n, line in enumerate(sale.lines, 1)]


def _session_of(row: asyncpg.Record) -> Session:
    return Session(**{name: row[name] for name in _FIGURES}, manifest=_manifest_of(row))


def _manifest_of(row: asyncpg.Record) -> StallUpload | None:
    if row["last_seq"] is None:
        return None
    return StallUpload(
        terminal=row["terminal"],
        pool=row["pool"],
        device=row["device"],
        session=row["session"],
        seq=row["close_seq"],
        recorded_at=row["closed_at"],
        body=Close(row["last_seq"], row["cash_fen"]),
        clock_invalid=row["close_clock_invalid"],
    )


def _session_row(terminal: str, key: SessionKey, session: Session) -> Row:
    manifest = session.manifest
    close = manifest.body if manifest and isinstance(manifest.body, Close) else None
    device, name = key
    return {figure: getattr(session, figure) for figure in _FIGURES} | {
        "terminal": terminal,
        "device": device,
        "session": name,
        "last_seq": close.last_seq if close else None,
        "cash_fen": close.cash_fen if close else None,
        "close_seq": manifest.seq if manifest else None,
        "closed_at": manifest.recorded_at if manifest else None,
        "close_clock_invalid": manifest.clock_invalid if manifest else False,
    }
