"""Reads the uploads of stall terminals as facts of the domain, by kind. An upload that can't be read has a reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from pydantic import Field, ValidationError, model_validator

from contracts.events.catalog import ItemPut
from contracts.events.orders import SaleLine
from contracts.values import Slug, Unit
from services.kit.http.body import Body
from services.kit.ids import Id
from services.kit.uploads.upload import Upload
from services.orders.commands.goods import Goods
from services.orders.domain import stall
from services.orders.domain.catalog import Catalog

_CASH = 10_000_000_000


class OpenBody(Body):
    """The start of a cash session."""

    float_fen: int = Field(default=0, ge=0, le=_CASH)


class SaleLineBody(Goods):
    """Goods handed over, and the amount taken for them; `price` is the id of the price that the terminal used."""

    amount_fen: int = Field(ge=0, le=_CASH)
    price: Slug | None = None


class SaleBody(Body):
    """A sale under the terminal's own id of it (ULID or UUID)."""

    sale: Id
    lines: list[SaleLineBody] = Field(min_length=1, max_length=100)
    total_fen: int | None = Field(default=None, ge=0, description="where given, the sum of the lines")

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        total = sum(line.amount_fen for line in self.lines)
        if self.total_fen not in {None, total}:
            raise ValueError(f"total_fen is {self.total_fen}, the sum of the lines is {total}")
        return self


class VoidBody(Body):
    """A reversal of a sale."""

    sale: Id


class CountBody(Body):
    """Goods counted at the stall."""

    lines: list[Goods] = Field(min_length=1, max_length=100)


class CloseBody(Body):
    """The session's manifest and its cash."""

    last_seq: int = Field(ge=1, lt=2**53)
    cash_fen: int = Field(default=0, ge=0, le=_CASH)


KINDS: dict[str, type[Body]] = {
    "open": OpenBody,
    "sale": SaleBody,
    "void": VoidBody,
    "count": CountBody,
    "close": CloseBody,
}


def read_fact(upload: Upload, terminal: str, pool: str, catalog: Catalog) -> stall.StallUpload | str:
    """Return the upload as a fact, or the reason why it can have no effect: its body does not fit its kind, the
    catalogue lacks its goods, or they are in the wrong unit.
    """
    if upload.fault:
        return upload.fault
    if upload.kind not in KINDS:
        return f"unknown kind of upload {upload.kind!r}, expected one of {', '.join(KINDS)}"
    try:
        body = KINDS[upload.kind].model_validate(upload.body)
    except ValidationError as wrong:
        first = wrong.errors(include_input=False)[0]
        return f"body/{'/'.join(map(str, first['loc']))}: {first['msg']}"
    for n, line in enumerate(body.lines if isinstance(body, SaleBody | CountBody) else []):
        if why := _wrong_goods(line, catalog.items.get(line.item)):
            return f"body/lines/{n}/item: {why}"
    return replace(origin_of(upload, terminal, pool), body=_domain(body))


def origin_of(upload: Upload, terminal: str, pool: str) -> stall.StallUpload:
    """Return the place, number and time of an upload as a fact without effect."""
    return stall.StallUpload(
        terminal=terminal,
        pool=pool,
        device=upload.device,
        session=upload.session,
        seq=upload.seq,
        recorded_at=upload.recorded_at,
        body=stall.Count(),
        clock_invalid=upload.clock_invalid,
    )


def _domain(body: Body) -> stall.Open | stall.Sale | stall.Void | stall.Count | stall.Close:
    match body:
        case OpenBody():
            return stall.Open(body.float_fen)
        case SaleBody():
            lines = (
                SaleLine(item=one.item, quantity=one.quantity or one.weight_g or 0, amount_fen=one.amount_fen)
                for one in body.lines
            )
            return stall.Sale(body.sale, tuple(lines))
        case VoidBody():
            return stall.Void(body.sale)
        case CloseBody():
            return stall.Close(body.last_seq, body.cash_fen)
        case _:
            return stall.Count()


def _wrong_goods(line: Goods, item: ItemPut | None) -> str:
    if item is None:
        return f"item {line.item} is not in the catalogue; put it there and redrive this upload"
    if (item.unit is Unit.GRAM) == (line.weight_g is None):
        expected = "weight_g" if item.unit is Unit.GRAM else "quantity"
        return f"item {item.id} is sold by {item.unit}: send {expected}"
    return ""
