"""Plausibility of stall sales: the quantity that a terminal may overdraw before a person has to look.

A sale is a fact and moves its goods in any case. The quantity overdrawn beyond the plausible one is in doubt: it may be
a mistyped number, or a stolen terminal. The shortfall that it leaves takes no order's goods until staff confirms it.
"""

from __future__ import annotations

from collections.abc import Mapping

LEAST: Mapping[str, int] = {"piece": 100, "gram": 50_000}
"""The quantity that any terminal may overdraw of an item, by its unit."""
_UNKNOWN = max(LEAST.values())


def doubted(overdrawn: int, granted: int, confirmed: int, unit: str | None) -> int:
    """Return the part of an overdrawn quantity that is in doubt: beyond as much as was lent, beyond `LEAST` of the
    item's unit (None: not known), and beyond what staff has confirmed.
    """
    return max(0, overdrawn - max(granted, confirmed, LEAST.get(unit or "", _UNKNOWN)))
