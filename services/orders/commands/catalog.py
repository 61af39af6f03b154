"""Puts catalogue entries, and checks that those that are stored can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from contracts.events.catalog import CatalogEvent, MarketDayPut, SitePut, StationPut
from services.kit.context import Context
from services.kit.database import Pool
from services.kit.http.health import CheckResult
from services.kit.http.problems import InputError, Problem
from services.orders.domain.catalog_rules import Wrong, contradictions, references, too_far
from services.orders.repository.catalog import CatalogCache
from services.orders.repository.store import CatalogStore


async def put_entry(context: Context, kind: str, entity: CatalogEvent) -> int:
    """Store an entry whole, publish it where it changed, and return its version.

    Raises a 422 with everything that is wrong: contradictions, references that do not exist, a wave of another market
    day, a site too far from its station.
    """
    async with context.unit() as uow:
        store: CatalogStore = uow.store
        await _check(store, entity)
        changed, version = await store.upsert_entry(kind, entity, uow.now)
        if changed:
            uow.emit(entity)
    return version


async def _check(store: CatalogStore, entity: CatalogEvent) -> None:
    _refuse(contradictions(entity))
    named = list(references(entity))
    missing = await store.missing_entries({(kind, id) for _, kind, id in named})
    _refuse((at, f"{kind}/{id} does not exist: put it first") for at, kind, id in named if (kind, id) in missing)
    if isinstance(entity, MarketDayPut):
        taken = await store.waves_of_others(entity.id, [wave.id for wave in entity.waves])
        _refuse(
            (f"/waves/{n}/id", f"wave {wave.id} belongs to market day {taken[wave.id]}: give this one another id")
            for n, wave in enumerate(entity.waves)
            if wave.id in taken
        )
    _refuse(("/lat", why) for why in await _distances(store, entity) if why)


async def _distances(store: CatalogStore, entity: CatalogEvent) -> list[str | None]:
    match entity:
        case SitePut():
            station = await store.find_entry("stations", entity.station)
            return [too_far(entity, station)] if isinstance(station, StationPut) else []
        case StationPut():
            return [too_far(site, entity) for site in await store.sites_of(entity.id)]
        case _:
            return []


def _refuse(wrong: Iterable[Wrong]) -> None:
    errors = [InputError(f"#{pointer}", message) for pointer, message in wrong]
    if errors:
        detail = f"{errors[0].pointer}: {errors[0].message}"
        raise Problem(422, "unprocessable", "Validation failed", detail, errors=errors)


class CatalogCheck:
    """The line of `/ready` that names unreadable entries. The process stays ready: it sells everything that does not
    depend on them.
    """

    def __init__(self, open_store: Callable[[Pool], CatalogStore]) -> None:
        self._open_store = open_store
        self._pool: Pool | None = None
        self._cache = CatalogCache()

    async def __call__(self, pool: Pool) -> CheckResult:
        """Check the catalogue in the database of `pool`."""
        if pool is not self._pool:
            self._pool, self._cache = pool, CatalogCache()
        unreadable = sorted((await self._cache.current(self._open_store(pool))).unreadable.items())
        found = [f"{path} can't be read ({entry.why}): put it again" for path, entry in unreadable]
        more = [f"and {len(found) - 10} more"] if len(found) > 10 else []
        return CheckResult(True, "; ".join(found[:10] + more) or "all entries can be read", degraded=bool(found))
