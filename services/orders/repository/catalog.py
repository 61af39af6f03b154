"""The copy of the catalogue and of the sold-out items that each process keeps in memory."""

from __future__ import annotations

from dataclasses import replace

import structlog

from contracts.events.catalog import CatalogEvent
from services.orders.domain.catalog import Catalog, Unreadable, index
from services.orders.repository.store import CatalogStore

_log = structlog.get_logger("halfday.catalogue")


class CatalogCache:
    """The catalogue and the sold-out items in this process; each is read again only when its version has grown."""

    def __init__(self) -> None:
        self._known: Catalog | None = None
        self._sold_out_version = 0

    async def current(self, store: CatalogStore) -> Catalog:
        """Return the catalogue with the sold-out items, as committed at the time of the call; one statement while
        nothing has changed.
        """
        version, sold_out_version = await store.catalog_versions()
        known = await self._catalog(store, version)
        if self._sold_out_version != sold_out_version or known is not self._known:
            known = replace(known, sold_out=await store.read_sold_out())
            self._known, self._sold_out_version = known, sold_out_version
        return known

    async def _catalog(self, store: CatalogStore, version: int) -> Catalog:
        if self._known is not None and self._known.version == version:
            return self._known
        entries = await store.read_catalog()
        unreadable = [entry for entry in entries if isinstance(entry, Unreadable)]
        for entry in unreadable:
            _log.error("catalogue entry can't be read", entry=entry.path, why=entry.why)
        return index(version, [entry for entry in entries if isinstance(entry, CatalogEvent)], unreadable)
