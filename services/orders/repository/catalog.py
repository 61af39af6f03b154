"""The catalogue's rows, and the copy of it that the accept path keeps in the process."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import orjson

from contracts.events.catalog import CatalogEvent
from services.orders.domain.catalog import KINDS, Catalog, index
from services.orders.repository.rows import Connection


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
    return ({"id": id, **orjson.loads(row["body"])}, row["version"]) if row else None


async def page(conn: Connection, kind: str, after: str, limit: int) -> list[dict[str, Any]]:
    """Up to `limit` entities of a kind with ids beyond `after`, in order of id."""
    found = await conn.fetch(
        "select id, body from catalog where kind = $1 and id > $2 order by id limit $3", kind, after, limit
    )
    return [{"id": row["id"], **orjson.loads(row["body"])} for row in found]


class CatalogCache:
    """The catalogue in this process: read again only when its version has grown."""

    def __init__(self) -> None:
        self._known: Catalog | None = None

    async def current(self, conn: Connection) -> Catalog:
        """The catalogue as committed when this was called; one statement while nothing has changed."""
        version = await conn.fetchval("select version from catalog_version")
        if self._known is None or self._known.version != version:
            found = await conn.fetch("select kind, id, body from catalog")
            entities = [
                KINDS[row["kind"]].model_validate({"id": row["id"], **orjson.loads(row["body"])}) for row in found
            ]
            self._known = index(version, entities)
        return self._known
