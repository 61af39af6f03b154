"""The uploads of stall terminals, their devices and allotments in PostgreSQL."""

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
from services.orders.repository.store import StallStore

_UPLOAD = tuple(f.name for f in fields(StallUpload) if f.name != "body")
_FIGURES = tuple(f.name for f in fields(Session) if f.name != "manifest")
_ALLOTMENT = ("terminal", "pool", "item", "granted_total", "returned_total", "version", "lease_until")
_ALLOTMENTS = """
with sold as (
  select l.item, sum(l.quantity) as quantity from stall_sale_line l
  where l.terminal = $1 and l.pool = $2 and not exists (select from stall_void v where v.sale = l.sale)
  group by l.item)
select item, coalesce(granted_total, 0) as granted_total, coalesce(returned_total, 0) as returned_total,
  coalesce(version, 0) as version, lease_until, coalesce(sold.quantity, 0)::bigint as sold_total
from (select * from terminal_allotment where terminal = $1 and pool = $2) a full join sold using (item)
order by item
"""


class PostgresStalls(StallStore):
    """The tables of stalls."""

    _conn: Connection

    async def lock_terminal(self, terminal: str) -> dict[str, Any] | None:
        statement = "select body from catalog where kind = 'terminals' and id = $1 for update"
        row = await self._conn.fetchrow(statement, terminal)
        return orjson.loads(row["body"]) if row else None

    async def load_stall(self, terminal: str, sales: Collection[UUID]) -> Stall:
        sold = await self._conn.fetch("select * from stall_sale where sale = any($1::uuid[])", list(sales))
        voided = await self._conn.fetch("select * from stall_void where sale = any($1::uuid[])", list(sales))
        sessions = await self._conn.fetch("select * from stall_session where terminal = $1", terminal)
        return Stall(
            sales={row["sale"]: _upload_of(row, Sale(row["sale"], _lines_of(row["lines"]))) for row in sold},
            voids={row["sale"]: _upload_of(row, Void(row["sale"])) for row in voided},
            sessions={(row["device"], row["session"]): _session_of(row) for row in sessions},
        )

    async def save_stall(self, terminal: str, before: Stall, after: Stall, now: datetime) -> None:
        uploads = [upload for sale, upload in sorted(after.sales.items()) if sale not in before.sales]
        sales = [(upload, upload.body) for upload in uploads if isinstance(upload.body, Sale)]
        await statements.write(self._conn, statements.SALES, [_sale_row(upload, sale, now) for upload, sale in sales])
        lines = [row for upload, sale in sales for row in _line_rows(upload, sale)]
        await statements.write(self._conn, statements.SALE_LINES, lines)
        voids = [(sale, upload) for sale, upload in sorted(after.voids.items()) if sale not in before.voids]
        await statements.write(self._conn, statements.VOIDS, [_upload_row(upload, sale, now) for sale, upload in voids])
        sessions = [(key, one) for key, one in sorted(after.sessions.items()) if before.sessions.get(key) != one]
        found = [_session_row(terminal, key, one) for key, one in sessions]
        await statements.write(self._conn, statements.SESSIONS, found)

    async def bind_device(self, terminal: str, device: str) -> tuple[str | None, bool]:
        row = await self._conn.fetchrow(
            "insert into terminal_device as old (terminal, device) values ($1, $2) on conflict (terminal) do update "
            "set device = coalesce(old.device, case when $2 = any(old.retired) then null else $2 end) "
            "returning device, $2 = any(retired) as retired",
            terminal,
            device,
        )
        assert row is not None
        return row["device"], row["retired"]

    async def reset_device(self, terminal: str, device: str | None) -> list[str]:
        row = await self._conn.fetchrow(
            "insert into terminal_device as old (terminal, device) values ($1, $2) on conflict (terminal) do update "
            "set device = $2, retired = array(select distinct r from unnest(array_append(old.retired, old.device)) r "
            "where r is distinct from $2 and r is not null order by r) returning retired",
            terminal,
            device,
        )
        return list(row["retired"]) if row else []

    async def save_allotments(self, allotments: Mapping[tuple[str, str, str], AllotmentEvent]) -> None:
        events = [event for _, event in sorted(allotments.items())]
        rows = [{name: getattr(event, name) for name in _ALLOTMENT} for event in events]
        await statements.write(self._conn, statements.ALLOTMENTS, rows)

    async def read_allotments(self, terminal: str, pool: str) -> list[Row]:
        found = await self._conn.fetch(_ALLOTMENTS, terminal, pool)
        return [dict(row) for row in found]


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
