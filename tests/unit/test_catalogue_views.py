"""Function of the caller alone: the part of the catalogue that each kind of caller sees."""

from __future__ import annotations

import pytest

from contracts.scopes import KINDS, Scope
from contracts.values import LOCAL_KIND, Bounds, Channel, Principal
from services.orders.domain.catalog import KINDS as ENTRIES
from services.orders.domain.catalogue_views import ALL, may_order_on, visible

READERS = sorted(kind for kind, scopes in KINDS.items() if Scope.CATALOG_READ in scopes)
INSIDE = {
    "couriers": {"courier"},
    "terminals": {"terminal"},
    "households": {"terminal", "steward"},
    "stations": {"courier"},
    "sites": {"terminal", "steward"},
    "prices": {"resident", "leader", "terminal"},
}
"""The kinds of entries that concern the trade, and the callers outside of staff that see some of them."""


def caller(kind: str, **bounds: list[str]) -> Principal:
    return Principal(f"{kind}.1", kind, frozenset(), Bounds.of(bounds))


@pytest.mark.parametrize("kind", READERS)
def test_a_caller_sees_of_the_trade_only_what_its_work_needs(kind: str) -> None:
    for entry, seen_by in INSIDE.items():
        assert (visible(caller(kind), entry) is not None) == (kind in seen_by), entry
    assert visible(caller(kind), "items") is ALL


@pytest.mark.parametrize("kind", ["staff", LOCAL_KIND])
def test_staff_and_local_tokens_see_everything(kind: str) -> None:
    assert all(visible(caller(kind), entry) is ALL for entry in ENTRIES)


def test_a_new_kind_of_caller_sees_nothing_until_it_has_a_row() -> None:
    assert all(visible(caller("stranger"), entry) is None for entry in ENTRIES)
    assert not may_order_on(caller("stranger"), Channel.APP)


def test_a_buyer_sees_its_own_communities_and_channels() -> None:
    resident = caller("resident", communities=["north"])
    points, prices = visible(resident, "points"), visible(resident, "prices")
    assert points is not None
    assert prices is not None
    assert points.has({"id": "gate", "community": "north"})
    assert not points.has({"id": "hall", "community": "south"})
    assert not prices.has({"id": "p", "channel": Channel.GROUP})
    assert not prices.has({"id": "p"})


@pytest.mark.parametrize(
    ("kind", "channels"),
    [
        ("resident", "app live"),
        ("capability", "app live"),
        ("leader", "app group live"),
        ("staff", "app group live stall"),
        ("local", "app group live stall"),
        ("courier", ""),
    ],
)
def test_the_channels_of_a_caller(kind: str, channels: str) -> None:
    known = [channel for channel in Channel if channel is not Channel.UNKNOWN]
    assert sorted(one for one in known if may_order_on(caller(kind), one)) == channels.split()
