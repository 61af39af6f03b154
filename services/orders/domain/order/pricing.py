"""The price of a line: that of its item on its channel at an instant, frozen, rounded once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from contracts.events.catalog import PricePut
from contracts.values import Unit

JIN_G = 500


def round_fen(numerator: int, denominator: int) -> int:
    """Round `numerator / denominator` fen to the nearest whole fen, halves up. Money is rounded nowhere else."""
    return (2 * numerator + denominator) // (2 * denominator)


def amount_fen(price_fen: int, quantity: int, unit: Unit) -> int:
    """Return the amount for `quantity`: pieces at the price of a piece, grams at the price of 500 grams."""
    return round_fen(price_fen * quantity, JIN_G) if unit is Unit.GRAM else price_fen * quantity


def price_at(prices: Sequence[PricePut], now: datetime) -> PricePut | None:
    """Return the price in effect at `now`: the latest that has started; of several at one instant, the last by id."""
    started = [price for price in prices if price.effective_from <= now]
    return max(started, key=lambda price: (price.effective_from, price.id), default=None)
