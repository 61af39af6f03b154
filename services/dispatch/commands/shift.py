"""Use case of a courier's shift: recording when the courier works."""

from __future__ import annotations

from contracts.events.catalog import CourierPut, MarketDayPut
from services.dispatch.commands.checks import require_entries
from services.dispatch.domain.courier import Shift
from services.dispatch.repository import transaction
from services.kit.context import Context
from services.kit.http.problems import conflict


async def record_shift(context: Context, shift: Shift) -> None:
    """Record a shift. Repeatable.

    Raises a 503 problem while the courier, the wave or the market day has not arrived, and 409 if the id belongs to a
    shift with different content.
    """
    days = [(MarketDayPut, shift.market_day)] if shift.market_day else []
    await require_entries(context, (CourierPut, shift.courier), *days, wave=shift.wave)
    async with transaction(context) as repository:
        if await repository.store.record_shift(shift) != shift:
            raise conflict(f"shift {shift.id} already exists with different content")
