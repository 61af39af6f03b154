"""The catalogue and the sold-out items in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import orjson
from pydantic import ValidationError

from contracts.events.catalog import CatalogEvent, SitePut
from services.orders.domain.catalog import KINDS, Unreadable
from services.orders.repository import statements
from services.orders.repository.statements import Connection
from services.orders.repository.store import CatalogStore


class PostgresCatalog(CatalogStore):
    """The tables of the catalogue."""

    _conn: Connection

    async def catalog_versions(self) -> tuple[int, int]:
        row = await self._conn.fetchrow("select version, sold_out_version from catalog_version")
        assert row is not None  # the migration writes it
        return row["version"], row["sold_out_version"]

    async def read_catalog(self) -> list[CatalogEvent | Unreadable]:
        found = await self._conn.fetch("select kind, id, body from catalog")
        return [_entry_of(row["kind"], row["id"], row["body"]) for row in found]

    async def read_sold_out(self) -> frozenset[tuple[str, str]]:
        found = await self._conn.fetch("select pool, item from item_sold_out where sold_out")
        return frozenset((row["pool"], row["item"]) for row in found)

    async def sold_out_items(self, pool: str) -> list[str]:
        statement = "select item from item_sold_out where pool = $1 and sold_out order by item"
        return [row["item"] for row in await self._conn.fetch(statement, pool)]

    async def save_sold_out(self, sold_out: Mapping[tuple[str, str], bool]) -> None:
        if not sold_out:
            return
        rows = [{"pool": pool, "item": item, "sold_out": value} for (pool, item), value in sorted(sold_out.items())]
        await statements.write(self._conn, statements.SOLD_OUT, rows)
        await self._conn.execute("update catalog_version set sold_out_version = sold_out_version + 1")

    async def upsert_entry(self, kind: str, entity: CatalogEvent, now: datetime) -> tuple[bool, int]:
        body = orjson.dumps(entity.model_dump(mode="json", exclude={"id"})).decode()
        row = await self._conn.fetchrow(
            "insert into catalog as old (kind, id, body, version, changed_at) values ($1, $2, $3::jsonb, 1, $4) "
            "on conflict (kind, id) do update set body = excluded.body, version = old.version + 1, "
            "changed_at = excluded.changed_at where old.body <> excluded.body returning version",
            kind,
            entity.id,
            body,
            now,
        )
        if row is None:
            statement = "select version from catalog where kind = $1 and id = $2"
            return False, await self._conn.fetchval(statement, kind, entity.id)
        await self._conn.execute("update catalog_version set version = version + 1")
        return True, row["version"]

    async def find_entry(self, kind: str, id: str) -> CatalogEvent | None:
        body = await self._conn.fetchval("select body from catalog where kind = $1 and id = $2", kind, id)
        found = _entry_of(kind, id, body) if body is not None else None
        return found if isinstance(found, CatalogEvent) else None

    async def sites_of(self, station: str) -> list[SitePut]:
        found = await self._conn.fetch(
            "select id, body from catalog where kind = 'sites' and body ->> 'station' = $1 order by id", station
        )
        entities = (_entry_of("sites", row["id"], row["body"]) for row in found)
        return [site for site in entities if isinstance(site, SitePut)]

    async def missing_entries(self, references: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        if not references:
            return set()
        found = await self._conn.fetch(
            "select kind, id from unnest($1::text[], $2::text[]) as w(kind, id) join catalog using (kind, id)",
            [kind for kind, _ in references],
            [id for _, id in references],
        )
        return set(references) - {(row["kind"], row["id"]) for row in found}

    async def waves_of_others(self, market_day: str, waves: Collection[str]) -> dict[str, str]:
        await self._conn.execute("select from catalog_version for update")
        found = await self._conn.fetch(
            "select id, wave #>> '{}' as wave from catalog, jsonb_path_query(body, '$.waves[*].id') as wave "
            "where kind = 'market-days' and id <> $1 and wave #>> '{}' = any($2::text[])",
            market_day,
            list(waves),
        )
        return {row["wave"]: row["id"] for row in found}


def _entry_of(kind: str, id: str, text: str) -> CatalogEvent | Unreadable:
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
