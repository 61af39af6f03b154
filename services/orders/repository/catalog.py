"""The rows of the catalogue and of sold-out items, and the copy of both that each process keeps in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
import structlog
from pydantic import ValidationError

from contracts.events.catalog import CatalogEvent, SitePut
from services.orders.domain.catalog import KINDS, Catalog, Unreadable, index
from services.orders.repository import statements
from services.orders.repository.statements import Connection

_log = structlog.get_logger("halfday.catalogue")


async def upsert(conn: Connection, kind: str, entity: CatalogEvent, now: datetime) -> tuple[bool, int]:
    """Store an entity under a lock of its row, new or not. Return whether it changed, and its version.

    The same body again changes nothing. Any change makes the catalogue's version grow.
    """
    body = orjson.dumps(entity.model_dump(mode="json", exclude={"id"})).decode()
    row = await conn.fetchrow(
        "insert into catalog as old (kind, id, body, version, changed_at) values ($1, $2, $3::jsonb, 1, $4) "
        "on conflict (kind, id) do update set body = excluded.body, version = old.version + 1, "
        "changed_at = excluded.changed_at where old.body <> excluded.body returning version",
        kind,
        entity.id,
        body,
        now,
    )
    if row is None:
        known = await conn.fetchval("select version from catalog where kind = $1 and id = $2", kind, entity.id)
        return False, known
    await conn.execute("update catalog_version set version = version + 1")
    return True, row["version"]


async def missing(conn: Connection, references: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the (kind, id) that the catalogue lacks."""
    if not references:
        return set()
    found = await conn.fetch(
        "select kind, id from unnest($1::text[], $2::text[]) as w(kind, id) join catalog using (kind, id)",
        [kind for kind, _ in references],
        [id for _, id in references],
    )
    return set(references) - {(row["kind"], row["id"]) for row in found}


async def get(conn: Connection, kind: str, id: str) -> tuple[dict[str, Any], int] | None:
    """Return an entity's body with its id, and its version."""
    row = await conn.fetchrow("select body, version from catalog where kind = $1 and id = $2", kind, id)
    return (_with_id(id, row["body"]), row["version"]) if row else None


async def page(conn: Connection, kind: str, after: str, limit: int) -> list[dict[str, Any]]:
    """Return up to `limit` entities of a kind with ids beyond `after`, in order of id."""
    found = await conn.fetch(
        "select id, body from catalog where kind = $1 and id > $2 order by id limit $3", kind, after, limit
    )
    return [_with_id(row["id"], row["body"]) for row in found]


def _with_id(id: str, text: str) -> dict[str, Any]:
    body = orjson.loads(text)
    return {"id": id, **(body if isinstance(body, dict) else {})}  # an unreadable entry is shown as it is stored


async def waves_of_others(conn: Connection, market_day: str, waves: Collection[str]) -> dict[str, str]:
    """Return those of the wave ids that another market day has, each with that day's id.

    Locks the catalogue's version first: of two market days that claim an id at once the later one sees the other.
    """
    await conn.execute("select from catalog_version for update")
    found = await conn.fetch(
        "select id, wave #>> '{}' as wave from catalog, jsonb_path_query(body, '$.waves[*].id') as wave "
        "where kind = 'market-days' and id <> $1 and wave #>> '{}' = any($2::text[])",
        market_day,
        list(waves),
    )
    return {row["wave"]: row["id"] for row in found}


async def find(conn: Connection, kind: str, id: str) -> CatalogEvent | None:
    """Return an entity as it is stored; None where there is none or it can't be read."""
    body = await conn.fetchval("select body from catalog where kind = $1 and id = $2", kind, id)
    found = _read(kind, id, body) if body is not None else None
    return found if isinstance(found, CatalogEvent) else None


async def sites_of(conn: Connection, station: str) -> list[SitePut]:
    """Return the readable sites of a station."""
    found = await conn.fetch(
        "select id, body from catalog where kind = 'sites' and body ->> 'station' = $1 order by id", station
    )
    entities = (_read("sites", row["id"], row["body"]) for row in found)
    return [site for site in entities if isinstance(site, SitePut)]


async def save_sold_out(conn: Connection, sold_out: Mapping[tuple[str, str], bool]) -> None:
    """Store which (pool, item) are sold out, and make their version grow."""
    if not sold_out:
        return
    rows = [{"pool": pool, "item": item, "sold_out": value} for (pool, item), value in sorted(sold_out.items())]
    await statements.write(conn, statements.SOLD_OUT, rows)
    await conn.execute("update catalog_version set sold_out_version = sold_out_version + 1")


def _read(kind: str, id: str, text: str) -> CatalogEvent | Unreadable:
    """Return the entity in a row. A row that another version wrote, or that was changed by hand, may have any
    content.
    """
    body = orjson.loads(text)
    if kind not in KINDS:
        return Unreadable(kind, id, f"this version has no kind {kind!r}")
    if not isinstance(body, dict):
        return Unreadable(kind, id, "its body is not an object")
    try:
        entity = KINDS[kind].model_validate({**body, "id": id})
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        return Unreadable(kind, id, f"{'/'.join(map(str, first['loc']))}: {first['msg']}", body)
    for name in ("unit", "channel"):
        if getattr(entity, name, "") == "unknown":
            return Unreadable(kind, id, f"{name}: this version does not know {body[name]!r}", body)
    return entity


class CatalogCache:
    """The catalogue and the sold-out items in this process; each is read again only when its version has grown."""

    def __init__(self) -> None:
        self._known: Catalog | None = None
        self._sold_out_version = 0

    async def current(self, conn: Connection) -> Catalog:
        """Return the catalogue with the sold-out items, as committed at the time of the call; one statement while
        nothing has changed.
        """
        row = await conn.fetchrow("select version, sold_out_version from catalog_version")
        assert row is not None  # the migration writes it
        version, sold_out_version = row
        known = await self._catalog(conn, version)
        if self._sold_out_version != sold_out_version or known is not self._known:
            known = replace(known, sold_out=await _sold_out(conn))
            self._known, self._sold_out_version = known, sold_out_version
        return known

    async def _catalog(self, conn: Connection, version: int) -> Catalog:
        if self._known is not None and self._known.version == version:
            return self._known
        found = await conn.fetch("select kind, id, body from catalog")
        entries = [_read(row["kind"], row["id"], row["body"]) for row in found]
        unreadable = [entry for entry in entries if isinstance(entry, Unreadable)]
        for entry in unreadable:
            _log.error("catalogue entry can't be read", entry=entry.path, why=entry.why)
        return index(version, [entry for entry in entries if isinstance(entry, CatalogEvent)], unreadable)


async def _sold_out(conn: Connection) -> frozenset[tuple[str, str]]:
    found = await conn.fetch("select pool, item from item_sold_out where sold_out")
    return frozenset((row["pool"], row["item"]) for row in found)
