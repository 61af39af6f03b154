"""Accepted and refused catalogue bodies, kind by kind, with the location of each error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.events.catalog import SitePut, StationPut
from contracts.values import Fulfilment
from services.orders.api.schemas.catalog import BODIES
from services.orders.domain.catalog import KINDS, Catalog, Unreadable, index
from services.orders.domain.catalog_rules import contradictions, too_far
from services.orders.domain.order.order import Order
from services.orders.domain.order.policy import MOST_FEN, Refusal, Wanted, price_order
from tests.integration.orders_world import CATALOG, NOW, at
from tests.unit.test_orders_terms import DRAFT

GOOD = {path.split("/")[0]: body for path, body in CATALOG.items()} | {
    "villages": {"name_zh": "白沙村", "name_en": "Baisha", "lat": 28.4, "lon": 113.9},
    "households": {"village": "baisha", "label": "7"},
    "pairings": {"village": "baisha", "community": "qifeng", "effective_from": at(0), "effective_until": at(1)},
    "couriers": {"station": "guandu", "capacity_g": 500_000, "cold_ml": 0, "zones": ["east"]},
}
WAVE = GOOD["market-days"]["waves"][0]
SITE = GOOD["market-days"]["sites"][0]
NAN, LONG = float("nan"), "x" * 250_000


def wrong(kind: str, change: dict[str, Any]) -> set[str]:
    """The pointers of all that is wrong with a good body after this change."""
    try:
        body = BODIES[kind].model_validate(GOOD[kind] | change)
    except ValidationError as found:
        return {"".join(f"/{part}" for part in error["loc"]) for error in found.errors()}
    return {pointer for pointer, _ in contradictions(body.entity(kind, "x"))}


def test_each_kind_has_a_body_and_takes_a_good_one():
    assert BODIES.keys() == KINDS.keys() == GOOD.keys()
    assert {kind: wrong(kind, {}) for kind in BODIES} == {kind: set() for kind in BODIES}


@pytest.mark.parametrize("kind", ["villages", "communities", "sites", "stations"])
@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"lat": "NaN"}, "/lat"),
        ({"lat": NAN}, "/lat"),
        ({"lon": float("inf")}, "/lon"),
        ({"lat": 112.99, "lon": 28.25}, "/lat"),
        ({"lat": 999}, "/lat"),
        ({"lon": 1e308}, "/lon"),
        ({"lat": None}, "/lat"),
        ({"lat": True}, "/lat"),
        ({"lat": "28.2"}, "/lat"),
        ({"name_zh": ""}, "/name_zh"),
        ({"name_zh": " \u200b"}, "/name_zh"),
        ({"name_zh": "x\x07"}, "/name_zh"),
        ({"name_zh": LONG}, "/name_zh"),
        ({"name_en": LONG}, "/name_en"),
        ({"surprise": 1}, "/surprise"),
        ({"id": "not an id"}, "/id"),
    ],
)
def test_a_place_that_is_none(kind: str, change: dict[str, Any], pointer: str):
    assert wrong(kind, change) == {pointer}


@pytest.mark.parametrize(
    ("kind", "change", "pointer"),
    [
        ("items", {"unit": "kg"}, "/unit"),
        ("items", {"unit": "unknown"}, "/unit"),
        ("items", {"unit_g": -1}, "/unit_g"),
        ("items", {"unit_g": 10**12}, "/unit_g"),
        ("items", {"unit_g": 10**30}, "/unit_g"),
        ("items", {"unit_g": True}, "/unit_g"),
        ("items", {"unit_ml": 1_000_001}, "/unit_ml"),
        ("items", {"cold": "yes"}, "/cold"),
        ("items", {"name_zh": "\u3000"}, "/name_zh"),
        ("prices", {"channel": "web"}, "/channel"),
        ("prices", {"channel": "unknown"}, "/channel"),
        ("prices", {"price_fen": -1}, "/price_fen"),
        ("prices", {"price_fen": 10**18}, "/price_fen"),
        ("prices", {"price_fen": "600"}, "/price_fen"),
        ("prices", {"effective_from": "0001-01-01T00:00:00+14:00"}, "/effective_from"),
        ("prices", {"effective_from": "2101-01-01T00:00:00Z"}, "/effective_from"),
        ("prices", {"effective_from": "2026-05-01T09:00:00"}, "/effective_from"),
        ("prices", {"effective_from": 1_730_000_000}, "/effective_from"),
        ("prices", {"item": "x" * 65}, "/item"),
        ("households", {"label": "\t"}, "/label"),
        ("households", {"label": LONG}, "/label"),
        ("pairings", {"effective_until": at(0)}, "/effective_until"),
        ("pairings", {"effective_until": at(-1)}, "/effective_until"),
        ("points", {"closes_at": "99:99"}, "/closes_at"),
        ("points", {"closes_at": "24:00"}, "/closes_at"),
        ("points", {"closes_at": "20:60"}, "/closes_at"),
        ("points", {"closes_at": "8:00"}, "/closes_at"),
        ("points", {"name_zh": ""}, "/name_zh"),
        ("terminals", {"stall": LONG}, "/stall"),
        ("couriers", {"capacity_g": 10**12}, "/capacity_g"),
        ("couriers", {"cold_ml": -1}, "/cold_ml"),
        ("couriers", {"zones": ["x"] * 101}, "/zones"),
        ("market-days", {"date": "0001-01-01"}, "/date"),
        ("market-days", {"date": "2101-01-01"}, "/date"),
        ("market-days", {"date": "2026-02-30"}, "/date"),
        ("market-days", {"closes_at": at(-1)}, "/closes_at"),
        ("market-days", {"sites": [SITE, SITE | {"communities": []}]}, "/sites/1/site"),
        ("market-days", {"sites": [SITE | {"communities": ["a", "b", "a"]}]}, "/sites/0/communities/2"),
        ("market-days", {"sites": [SITE, {"site": "b", "communities": ["qifeng"]}]}, "/sites/1/communities/0"),
        ("market-days", {"sites": [SITE] * 201}, "/sites"),
        ("market-days", {"waves": [WAVE, WAVE]}, "/waves/1/id"),
        ("market-days", {"waves": [WAVE | {"slot_until": at(4)}]}, "/waves/0/slot_until"),
        ("market-days", {"waves": [WAVE | {"cutoff": at(4.1)}]}, "/waves/0/cutoff"),
        ("market-days", {"waves": [WAVE | {"capacity": 10**12}]}, "/waves/0/capacity"),
        ("market-days", {"waves": [WAVE | {"capacity": -1}]}, "/waves/0/capacity"),
        ("market-days", {"waves": [WAVE | {"slot_from": "9999-12-31T23:59:59-12:00"}]}, "/waves/0/slot_from"),
        ("market-days", {"waves": [WAVE | {"surprise": 1}]}, "/waves/0/surprise"),
    ],
)
def test_what_makes_no_sense(kind: str, change: dict[str, Any], pointer: str):
    assert wrong(kind, change) == {pointer}


def test_everything_that_is_wrong_with_a_market_day_is_said_at_once():
    waves = [WAVE, WAVE | {"slot_until": at(1), "cutoff": at(9)}]
    found = wrong("market-days", {"closes_at": at(-3), "waves": waves})
    assert found == {"/closes_at", "/waves/1/id", "/waves/1/slot_until", "/waves/1/cutoff"}


@pytest.mark.parametrize(
    ("station", "fits"),
    [((28.33, 113.93), True), ((28.237, 112.998), True), ((32.5, 112.998), True), ((33, 112.998), False),
     ((48.1, 11.6), False), ((43.8, 87.6), False), ((-28.3, 113.9), False)],
)  # fmt: skip
def test_a_site_is_within_reach_of_its_station(station: tuple[float, float], fits: bool):
    site = SitePut(id="square", name_zh="场", lat=28.237, lon=112.998, station="s")
    why = too_far(site, StationPut(id="s", name_zh="站", lat=station[0], lon=station[1]))
    assert (why is None) == fits
    assert why is None or "swapped" in why


def catalogue(broken: str | None = None, body: dict[str, Any] | None = None, **changes: dict[str, Any]) -> Catalog:
    """The world's catalogue, with one entry that can't be read."""
    found = {path: body for path, body in (CATALOG | changes).items() if path != broken}
    split = [(*path.split("/"), body) for path, body in found.items()]
    unreadable = [Unreadable(*broken.split("/"), "broken", body or {})] if broken else []
    return index(1, [KINDS[kind].model_validate({"id": id, **body}) for kind, id, body in split], unreadable)


def asked(catalog: Catalog, *lines: Wanted, **more: Any) -> Order | Refusal:
    return price_order(UUID(int=1), "123456", replace(DRAFT, lines=lines, **more), catalog, NOW, 900)


HONEY, TOFU = Wanted("honey", 2), Wanted("tofu", weight_g=750)
PICKUP = {"fulfilment": Fulfilment.PICKUP, "point": "gate"}


@pytest.mark.parametrize(
    ("broken", "body", "order", "pointer"),
    [
        ("items/tofu", {}, {}, "/lines/1/item"),
        ("prices/tofu-app", {"item": "tofu", "channel": "app"}, {}, "/lines/1/item"),
        ("prices/tofu-app", {"item": "tofu", "channel": "web"}, {}, "/lines/1/item"),
        ("communities/qifeng", {}, {}, "/community"),
        ("market-days/sat", {}, {}, "/market_day"),
        ("points/gate", {}, PICKUP, "/fulfilment/point"),
    ],
)
def test_what_depends_on_an_unreadable_entry_waits(
    broken: str, body: dict[str, Any], order: dict[str, Any], pointer: str
):
    refusal = asked(catalogue(broken, body), HONEY, TOFU, **order)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code, refusal.pointer) == (503, "catalogue-entry-unreadable", pointer)
    assert broken in refusal.message


@pytest.mark.parametrize(
    ("broken", "body"),
    [
        ("items/tofu", {}),
        ("prices/tofu-app", {"item": "tofu", "channel": "app"}),
        ("prices/honey-x", {"item": "honey", "channel": "stall"}),
        ("prices/x", {}),
        ("villages/v9", {"lat": None}),
        ("communities/xincheng", {}),
        ("sites/other", {}),
        ("stations/guandu", {}),
        ("points/gate", {}),
        ("terminals/stall-1", {}),
        ("gadgets/g1", {}),
    ],
)
def test_everything_else_sells_on(broken: str, body: dict[str, Any]):
    assert isinstance(asked(catalogue(broken, body), HONEY), Order)


def test_a_price_that_cannot_be_read_is_not_replaced_by_an_older_one():
    newer = catalogue("prices/honey-2", {"item": "honey", "channel": "app", "price_fen": None})
    refusal = asked(newer, HONEY)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, "prices/honey-2" in refusal.message) == (503, True)


def test_totals_and_loads_have_a_limit():
    dear = catalogue(**{"prices/honey-app": CATALOG["prices/honey-app"] | {"price_fen": 10**18}})
    heavy = catalogue(**{"items/honey": CATALOG["items/honey"] | {"unit_g": 10**12}})
    for catalog in (dear, heavy):
        refusal = asked(catalog, HONEY)
        assert isinstance(refusal, Refusal)
        assert (refusal.status, refusal.pointer) == (422, "/lines")


@given(
    price=st.integers(0, 100_000_000),
    pieces=st.integers(1, 1_000_000),
    grams=st.integers(1, 100_000_000),
    unit_g=st.integers(0, 1_000_000),
)
def test_what_is_taken_fits_every_column(price: int, pieces: int, grams: int, unit_g: int):
    """Within the bounds of bodies, an order's total and load fit every column, or it is refused with a reason."""
    priced = {f"prices/{i}-app": CATALOG[f"prices/{i}-app"] | {"price_fen": price} for i in ("honey", "tofu")}
    loads = {f"items/{i}": CATALOG[f"items/{i}"] | {"unit_g": unit_g} for i in ("honey", "tofu")}
    order = asked(catalogue(**priced, **loads), Wanted("honey", pieces), Wanted("tofu", weight_g=grams))
    if isinstance(order, Order):
        assert 0 <= order.terms.total_fen <= MOST_FEN
    else:
        assert (order.status, order.pointer) == (422, "/lines")
