"""Doubt about sales: exact for any sales, voids and confirmations of a terminal, and never more than was overdrawn."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.inventory.domain import allotment as rules
from services.inventory.domain.allotment import Allotment
from services.inventory.domain.plausibility import LEAST, doubted
from services.inventory.domain.stock import Move

NOW = datetime(2026, 11, 7, tzinfo=UTC)
quantities = st.integers(1, 300)
unit = "piece"


@given(st.lists(st.tuples(st.sampled_from(["sell", "void", "confirm"]), quantities), max_size=12), st.integers(0, 300))
def test_only_what_is_beyond_the_limit_and_unconfirmed_is_in_doubt(steps: list[tuple[str, int]], lent: int) -> None:
    allotment = Allotment("t1", "p", "honey", granted=lent, allotted=lent)
    open_sales: list[tuple[str, list[Move]]] = []
    for n, (step, quantity) in enumerate(steps):
        if step == "sell":
            before = allotment
            allotment, moves = rules.sell(allotment, quantity, f"sale/{n}", (), (), NOW, unit)
            open_sales.append((f"sale/{n}", list(moves)))
            limit = max(lent, LEAST[unit], allotment.confirmed)
            assert allotment.doubted == max(0, allotment.overdrawn - limit)
            assert allotment.doubted >= before.doubted
        elif step == "void" and open_sales:
            cause, sold = open_sales.pop()
            allotment, _ = rules.void(allotment, sold, cause, NOW, ())
        elif step == "confirm":
            allotment = rules.confirm(allotment)
            assert allotment.doubted == 0
        assert 0 <= allotment.doubted <= allotment.overdrawn
    for cause, sold in reversed(open_sales):
        allotment, _ = rules.void(allotment, sold, cause, NOW, ())
    assert allotment.overdrawn == 0 or steps
    assert allotment.doubted <= allotment.overdrawn


@given(quantities, quantities, quantities)
def test_more_sold_is_never_less_in_doubt(overdrawn: int, more: int, granted: int) -> None:
    for of in (*LEAST, None):
        assert doubted(overdrawn, granted, 0, of) <= doubted(overdrawn + more, granted, 0, of)
        assert doubted(overdrawn, granted, overdrawn, of) == 0
