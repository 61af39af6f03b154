"""Checks that catalogue entries and waves have arrived, for requests that name them."""

from __future__ import annotations

from contracts.events.catalog import CatalogEvent, CourierPut, MarketDayPut
from services.dispatch.domain.catalog import catalog_key
from services.dispatch.repository.store import WaveStore
from services.kit.http.problems import unavailable

RETRY_AFTER_S = 1
_NAMES: dict[type[CatalogEvent], str] = {CourierPut: "courier", MarketDayPut: "market day"}


async def require_entries(store: WaveStore, *entries: tuple[type[CatalogEvent], str], wave: str | None = None) -> None:
    """Raise a 503 problem while any of these catalogue entries, or the wave, has not arrived in dispatch."""
    names = {catalog_key(kind, id): f"{_NAMES[kind]} {id}" for kind, id in entries}
    missing = [name for key, name in names.items() if await store.read_entry(key) is None]
    if wave is not None and await store.read_wave(wave) is None:
        missing.append(f"wave {wave}")
    if missing:
        are = "is" if len(missing) == 1 else "are"
        detail = f"{' and '.join(missing)} {are} not in dispatch's catalogue yet; retry shortly"
        raise unavailable(RETRY_AFTER_S, detail)
