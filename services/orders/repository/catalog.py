"""The catalogue's rows, and the copy of it that the accept path keeps in the process."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
import structlog
from pydantic import ValidationError

from contracts.events.catalog import CatalogEvent, SitePut
from services.kit.http.health import CheckResult
from services.kit.transaction.unit_of_work import Pool
from services.orders.domain.catalog import KINDS, Catalog, Unreadable, index
from services.orders.repository.order_rows import Connection
from services.orders.repository.projections import sold_out

_log = structlog.get_logger("halfday.catalogue")


async def put(conn: Connection, kind: str, entity: CatalogEvent, now: datetime) -> tuple[bool, int]:
    """Stores an entity; whether that changed anything, and its version. Locks its row, new or not.

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


async def missing(conn: Connection, wanted: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those (kind, id) that the catalogue does not have."""
    if not wanted:
        return set()
    found = await conn.fetch(
        "select kind, id from unnest($1::text[], $2::text[]) as w(kind, id) join catalog using (kind, id)",
        [kind for kind, _ in wanted],
        [id for _, id in wanted],
    )
    return set(wanted) - {(row["kind"], row["id"]) for row in found}


async def get(conn: Connection, kind: str, id: str) -> tuple[dict[str, Any], int] | None:
    """An entity's body with its id, and its version."""
    row = await conn.fetchrow("select body, version from catalog where kind = $1 and id = $2", kind, id)
    return (_shown(id, row["body"]), row["version"]) if row else None


async def page(conn: Connection, kind: str, after: str, limit: int) -> list[dict[str, Any]]:
    """Up to `limit` entities of a kind with ids beyond `after`, in order of id."""
    found = await conn.fetch(
        "select id, body from catalog where kind = $1 and id > $2 order by id limit $3", kind, after, limit
    )
    return [_shown(row["id"], row["body"]) for row in found]


def _shown(id: str, text: str) -> dict[str, Any]:
    body = orjson.loads(text)
    return {"id": id, **(body if isinstance(body, dict) else {})}  # an unreadable entry is shown as it is stored


async def waves_of_others(conn: Connection, market_day: str, waves: Collection[str]) -> dict[str, str]:
    """Those of the wave ids that another market day has, each with that day's id.

    Locks the catalogue's version first, so that of two market days that claim an id at once the later one sees it.
    """
    await conn.execute("select from catalog_version for update")
    found = await conn.fetch(
        "select id, wave #>> '{}' as wave from catalog, jsonb_path_query(body, '$.waves[*].id') as wave "
        "where kind = 'market-days' and id <> $1 and wave #>> '{}' = any($2::text[])",
        market_day,
        list(waves),
    )
    return {row["wave"]: row["id"] for row in found}


async def read(conn: Connection, kind: str, id: str) -> CatalogEvent | None:
    """An entity as it is stored; None where there is none or it can't be read."""
    body = await conn.fetchval("select body from catalog where kind = $1 and id = $2", kind, id)
    found = _read(kind, id, body) if body is not None else None
    return found if isinstance(found, CatalogEvent) else None


async def sites_of(conn: Connection, station: str) -> list[SitePut]:
    """The sites that name a station, as far as they can be read."""
    found = await conn.fetch(
        "select id, body from catalog where kind = 'sites' and body ->> 'station' = $1 order by id", station
    )
    entities = (_read("sites", row["id"], row["body"]) for row in found)
    return [site for site in entities if isinstance(site, SitePut)]


def _read(kind: str, id: str, text: str) -> CatalogEvent | Unreadable:
    """The entity in a row. A row that another version wrote, or that was changed by hand, may be anything."""
    body = orjson.loads(text)
    if kind not in KINDS:
        return Unreadable(kind, id, "this version knows no such kind")
    if not isinstance(body, dict):
        return Unreadable(kind, id, "its body is no object")
    try:
        entity = KINDS[kind].model_validate({**body, "id": id})
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        return Unreadable(kind, id, f"{'/'.join(map(str, first['loc']))}: {first['msg']}", body)
    for name in ("unit", "channel"):
        if getattr(entity, name, "") == "unknown":
            return Unreadable(kind, id, f"{name}: {body[name]!r} is not known to this version", body)
    return entity


class CatalogCache:
    """The catalogue and what is sold out, in this process: each read again only when its version has grown."""

    def __init__(self) -> None:
        self._known: Catalog | None = None
        self._sold_out_version = 0

    async def current(self, conn: Connection) -> Catalog:
        """The catalogue and what is sold out as committed when this was called; one statement while nothing has
        changed.
        """
        row = await conn.fetchrow("select version, sold_out_version from catalog_version")
        assert row is not None  # the migration writes it
        version, sold_out_version = row
        known = await self._catalog(conn, version)
        if self._sold_out_version != sold_out_version or known is not self._known:
            known = replace(known, sold_out=await sold_out(conn))
            self._known, self._sold_out_version = known, sold_out_version
        return known

    async def _catalog(self, conn: Connection, version: int) -> Catalog:
        if self._known is None or self._known.version != version:
            found = await conn.fetch("select kind, id, body from catalog")
            entries = [_read(row["kind"], row["id"], row["body"]) for row in found]
            broken = [entry for entry in entries if isinstance(entry, Unreadable)]
            for entry in broken:
                _log.error("catalogue entry can't be read", entry=entry.path, why=entry.why)
            return index(version, [e for e in entries if isinstance(e, CatalogEvent)], broken)
        return self._known


class CatalogCheck:
    """A line of `/ready` that names the entries that can't be read. The process stays ready: it sells what needs none
    of them.
    """

    def __init__(self) -> None:
        self._pool: Pool | None = None
        self._cache = CatalogCache()

    async def __call__(self, pool: Pool) -> CheckResult:
        """Looks at the catalogue of the database behind `pool`."""
        if pool is not self._pool:
            self._pool, self._cache = pool, CatalogCache()
        broken = sorted((await self._cache.current(pool)).unreadable.items())
        found = [f"{path} can't be read ({entry.why}): put it again" for path, entry in broken]
        more = [f"and {len(found) - 10} more"] if len(found) > 10 else []
        return CheckResult(True, "; ".join(found[:10] + more) or "all entries can be read", degraded=bool(found))
