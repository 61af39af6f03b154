"""Use case of a courier's shift: recording when the courier works."""

from __future__ import annotations

from contracts.events.catalog import CourierPut, MarketDayPut
from services.dispatch.commands.checks import require_entries
from services.dispatch.domain.courier import Shift
from services.dispatch.repository.store import WaveStore
from services.kit.http.problems import conflict
from services.kit.transaction.unit_of_work import UnitOfWork


async def record_shift(uow: UnitOfWork, shift: Shift) -> None:
    """Record a shift. Repeatable.

    Raises a 503 problem while the courier, the wave or the market day has not arrived, and 409 if the id belongs to a
    shift with different content.
    """
    store: WaveStore = uow.store
    days = [(MarketDayPut, shift.market_day)] if shift.market_day else []
    await require_entries(store, (CourierPut, shift.courier), *days, wave=shift.wave)
    if await store.record_shift(shift) != shift:
        raise conflict(f"shift {shift.id} already exists with different content")
