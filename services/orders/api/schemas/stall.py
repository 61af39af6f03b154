"""What a stall terminal uploads, by kind, and what it is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from contracts.events.catalog import ItemPut, PricePut
from contracts.events.orders import SaleLine
from contracts.values import Channel, Slug, Token, Unit
from services.kit.http.body import Body
from services.kit.ids import Id
from services.kit.uploads.upload import Upload, UploadIn
from services.orders.api.schemas.order import Goods
from services.orders.domain import stall as t
from services.orders.domain.catalog import Catalog
from services.orders.domain.order.pricing import price_at

_CASH = 10_000_000_000


class OpenIn(Body):
    """A cash session begins."""

    float_fen: int = Field(default=0, ge=0, le=_CASH)


class SaleLineIn(Goods):
    """Goods handed over, and what was taken for them; `price` is the id of the price that the terminal used."""

    amount_fen: int = Field(ge=0, le=_CASH)
    price: Slug | None = None


class SaleIn(Body):
    """A sale by the terminal's own id (ULID or UUID)."""

    sale: Id
    lines: list[SaleLineIn] = Field(min_length=1, max_length=100)
    total_fen: int | None = Field(default=None, ge=0, description="where given, the sum of the lines")

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.total_fen is not None and self.total_fen != sum(line.amount_fen for line in self.lines):
            raise ValueError("total_fen is not the sum of the lines")
        return self


class VoidIn(Body):
    """A sale is undone."""

    sale: Id


class CountIn(Body):
    """Goods counted at the stall."""

    lines: list[Goods] = Field(min_length=1, max_length=100)


class CloseIn(Body):
    """The session's manifest and its cash."""

    last_seq: int = Field(ge=1, lt=2**53)
    cash_fen: int = Field(default=0, ge=0, le=_CASH)


KINDS: dict[str, type[Body]] = {"open": OpenIn, "sale": SaleIn, "void": VoidIn, "count": CountIn, "close": CloseIn}


class SyncIn(Body):
    """What a terminal has, in any order, any number of times; nothing at all is a question only."""

    device: Token
    market_day: Slug
    uploads: list[UploadIn] = Field(default=[], max_length=200)


class ResetIn(Body):
    """Which device is to be the terminal's from now on; left out, it is the next new one that syncs."""

    device: Token | None = None


def fact(one: Upload, terminal: str, pool: str, catalog: Catalog) -> t.StallUpload | str:
    """The upload as the domain sees it, or why it can have no effect: a body that is not of its kind, goods that the
    catalogue lacks or that are in the wrong unit.
    """
    if one.fault:
        return one.fault
    if one.kind not in KINDS:
        return f"{one.kind!r} is no kind of upload; expected {', '.join(KINDS)}"
    try:
        body = KINDS[one.kind].model_validate(one.body)
    except ValidationError as wrong:
        first = wrong.errors(include_input=False)[0]
        return f"body/{'/'.join(map(str, first['loc']))}: {first['msg']}"
    for n, line in enumerate(body.lines if isinstance(body, SaleIn | CountIn) else []):
        if why := _wrong_goods(line, catalog.items.get(line.item)):
            return f"body/lines/{n}/item: {why}"
    return replace(place(one, terminal, pool), body=_domain(body))


def place(one: Upload, terminal: str, pool: str) -> t.StallUpload:
    """Where and when the upload was made, whatever it says."""
    at = (one.device, one.session, one.seq, one.recorded_at)
    return t.StallUpload(terminal, pool, *at, t.Count(), one.clock_invalid)


def _domain(body: Body) -> t.Open | t.Sale | t.Void | t.Count | t.Close:
    match body:
        case OpenIn():
            return t.Open(body.float_fen)
        case SaleIn():
            lines = (
                SaleLine(item=one.item, quantity=one.quantity or one.weight_g or 0, amount_fen=one.amount_fen)
                for one in body.lines
            )
            return t.Sale(body.sale, tuple(lines))
        case VoidIn():
            return t.Void(body.sale)
        case CloseIn():
            return t.Close(body.last_seq, body.cash_fen)
        case _:
            return t.Count()


def _wrong_goods(line: Goods, item: ItemPut | None) -> str:
    if item is None:
        return f"item {line.item} is not in the catalogue; put it there and redrive this upload"
    if (item.unit is Unit.GRAM) == (line.weight_g is None):
        return f"{item.id} is sold by {item.unit}"
    return ""


def stall_prices(catalog: Catalog, now: datetime) -> list[dict[str, Any]]:
    """The prices at stalls that hold now or begin later, so that a terminal can change over without a network."""
    found: list[dict[str, Any]] = []
    for (item, channel), prices in sorted(catalog.prices.items()):
        if channel != Channel.STALL or item not in catalog.items:
            continue
        current = price_at(prices, now)
        later = sorted((p for p in prices if p.effective_from > now), key=lambda p: p.effective_from)
        found += [_price(p, catalog.items[item]) for p in ([current] if current else []) + later]
    return found


def _price(price: PricePut, item: ItemPut) -> dict[str, Any]:
    return {
        "price": price.id,
        "item": price.item,
        "unit": item.unit,
        "price_fen": price.price_fen,
        "per": "500g" if item.unit is Unit.GRAM else "piece",
        "effective_from": price.effective_from,
    }
