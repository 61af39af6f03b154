"""Goods that are handed out are of expired lots only when no other lot has any: for any lots, quantities, instants."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from contracts.events.inventory import Place
from contracts.events.orders import GoodsLine
from services.inventory.domain import reservation as reserving
from services.inventory.domain.lot import Lot, LotState, take
from services.inventory.domain.reservation import Reservation, ReservationState
from services.inventory.domain.stock import Move
from tests.unit.inventory_world import NOON, POOL

HOURS = st.integers(-48, 48)
LOTS = st.lists(st.tuples(st.integers(1, 9), st.none() | HOURS), max_size=6)


def lot(n: int, on_hand: int, sell_by: int | None) -> Lot:
    """A released lot with a sell-by so many hours from noon."""
    by = None if sell_by is None else NOON + timedelta(hours=sell_by)
    picked = NOON - timedelta(hours=100)
    return Lot(UUID(int=n), POOL, "honey", "h1", on_hand, picked, picked, by, LotState.RELEASED, on_hand, 0, on_hand)


def taken(moves: tuple[Move, ...]) -> dict[UUID | None, int]:
    return {move.lot: move.quantity for move in moves if move.source is Place.ON_HAND}


@given(made=LOTS, quantity=st.integers(1, 40), now=HOURS, place=st.sampled_from([Place.COURIER, Place.BUYER]))
def test_an_expired_lot_is_handed_out_only_when_nothing_else_is_left(
    made: list[tuple[int, int | None]], quantity: int, now: int, place: Place
) -> None:
    lots, at = [lot(n, *one) for n, one in enumerate(made, 1)], NOON + timedelta(hours=now)
    line = GoodsLine(line=1, item="honey", quantity=quantity)
    known = Reservation(uuid4(), POOL, uuid4(), ReservationState.FIRM, (line,))
    out = taken(reserving.hand_out(known, known, place, {"honey": lots}, at).moves)
    assert sum(out.values()) == quantity  # a fact is never refused
    fresh = [one for one in lots if not one.expired(at)]
    if any(one.expired(at) for one in lots if one.id in out):
        assert all(out.get(one.id) == one.on_hand for one in fresh)
    if None in out:
        assert all(out.get(one.id) == one.on_hand for one in lots)
    order = sorted(fresh, key=lambda one: (one.sell_by is None, one.sell_by or NOON, one.id))
    left = [one for one in order if out.get(one.id, 0) < one.on_hand]
    assert all(one.id not in out for one in left[1:])  # among the fresh ones, first expired goes first


@given(made=LOTS, quantity=st.integers(1, 40))
def test_waste_takes_what_expires_first_also_when_that_is_past(
    made: list[tuple[int, int | None]], quantity: int
) -> None:
    lots = [lot(n, *one) for n, one in enumerate(made, 1)]
    out = taken(take(POOL, "honey", quantity, Place.WASTE, "waste/1", lots))
    order = sorted(lots, key=lambda one: (one.sell_by is None, one.sell_by or NOON, one.id))
    left = [one for one in order if out.get(one.id, 0) < one.on_hand]
    assert all(one.id not in out for one in left[1:])
