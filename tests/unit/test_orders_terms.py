"""Prices, acceptance, the catalogue: what an order costs and whether it can be taken."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.events import catalog as o
from contracts.events.dispatch import Quote
from contracts.values import Channel, Fulfilment, Payment, Unit
from services.orders.domain.catalog import KINDS, Catalog, index
from services.orders.domain.catalog_rules import contradictions, references
from services.orders.domain.order.order import Order
from services.orders.domain.order.policy import Draft, Refusal, Wanted, price_order
from services.orders.domain.order.pricing import amount_fen, price_at, round_fen
from tests.integration.orders_world import CATALOG, NOW, at


def catalogue(**changes: dict[str, Any]) -> Catalog:
    known = CATALOG | changes
    split = [(path.split("/"), body) for path, body in known.items()]
    return index(1, [KINDS[kind].model_validate({"id": id, **body}) for (kind, id), body in split])


DRAFT = Draft(
    channel=Channel.APP,
    market_day="sat",
    community="qifeng",
    lines=(Wanted("honey", 2), Wanted("tofu", weight_g=750)),
    fulfilment=Fulfilment.DELIVERY,
    payment=Payment.ON_ACCOUNT,
)


def taken(draft: Draft = DRAFT, catalog: Catalog | None = None, now: datetime = NOW) -> Order | Refusal:
    return price_order(UUID(int=1), "123456", draft, catalog or catalogue(), now, 900)


@pytest.mark.parametrize(
    ("price", "quantity", "unit", "amount"),
    [(600, 2, Unit.PIECE, 1200), (999, 750, Unit.GRAM, 1499), (999, 250, Unit.GRAM, 500), (1, 249, Unit.GRAM, 0)],
)
def test_amounts(price: int, quantity: int, unit: Unit, amount: int):
    assert amount_fen(price, quantity, unit) == amount


def test_half_a_fen_rounds_up():
    assert [round_fen(n, 4) for n in range(1, 8)] == [0, 1, 1, 1, 1, 2, 2]


def test_the_price_that_holds():
    def price(id: str, hours: float, fen: int) -> o.PricePut:
        return o.PricePut(
            id=id, item="honey", channel=Channel.APP, price_fen=fen, effective_from=NOW + timedelta(hours=hours)
        )

    prices = [price("b", -2, 5), price("a", -2, 4), price("c", 0, 6), price("d", 1, 7)]
    assert [price_at(prices, NOW + timedelta(hours=h)) for h in (-3,)] == [None]
    found = [price_at(prices, NOW + timedelta(hours=h)) for h in (-1, 0, 2)]
    assert [one.id for one in found if one] == ["b", "c", "d"]


def test_terms_are_frozen():
    order = taken()
    assert isinstance(order, Order)
    assert [line.amount_fen for line in order.terms.lines] == [1200, 1499]
    assert (order.terms.pool, order.terms.total_fen) == ("sat@square", 2699)
    assert order.terms.due_by.isoformat() == at(4)


def test_a_quote_does_not_move_the_time_by_which_a_job_is_planned():
    """Paid after its quoted slot had begun, an order was given up though a later wave would have taken it."""
    quote = Quote(
        community=DRAFT.community,
        wave="w0",
        slot_from=NOW + timedelta(hours=1),
        slot_until=NOW + timedelta(hours=2),
        until=NOW + timedelta(minutes=5),
        mac="0" * 64,
    )
    order = taken(replace(DRAFT, quote=quote))
    assert isinstance(order, Order)
    assert order.terms.due_by.isoformat() == at(4)


def test_a_pickup_is_due_when_its_point_closes():
    order = taken(replace(DRAFT, fulfilment=Fulfilment.PICKUP, point="gate"))
    assert isinstance(order, Order)
    assert order.terms.due_by == datetime(2024, 11, 2, 12, 0, tzinfo=UTC)


def test_prepaid_brings_its_money():
    order = taken(replace(DRAFT, payment=Payment.PREPAID))
    assert isinstance(order, Order)
    assert (order.paid_fen, order.is_paid) == (2699, True)


def test_nothing_after_closing():
    last = NOW + timedelta(hours=8)
    assert isinstance(taken(now=last - timedelta(microseconds=1)), Order)
    refusal = taken(now=last)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (409, "market-day-closed")


def test_what_an_entity_names():
    day = o.MarketDayPut.model_validate({"id": "sat", **CATALOG["market-days/sat"]})
    assert [(kind, id) for _, kind, id in references(day)] == [
        ("sites", "square"),
        ("communities", "qifeng"),
        ("stations", "guandu"),
    ]
    assert list(contradictions(day)) == []
