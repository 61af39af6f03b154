"""Validates and prices an order: pure, from the request, the catalogue and the time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.events.catalog import MarketDayPut
from contracts.events.dispatch import Quote
from contracts.events.orders import OrderLine
from contracts.values import MAIN_TENANT, Channel, Fulfilment, Payment, Unit
from services.orders.domain.catalog import Catalog
from services.orders.domain.order.order import Money, Order, Terms
from services.orders.domain.order.pricing import amount_fen, price_at

PREPAID = "prepaid"
"""The payment id of an order that was paid before it was placed, without a receipt."""
MOST_FEN = 10**12
"""The highest total of an order: far above any real one, and sums of many stay within 64 bits."""
MOST_G = 10**8
"""The heaviest order, in grams: a hundred tonnes, more than any vehicle carries."""
_NAMES = {"market-days": "market day", "communities": "community", "items": "item"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A requested line: pieces or grams, one of the two."""

    item: str
    quantity: int | None = None
    weight_g: int | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A requested order without its recipient. `owner`: the subject that places it; None for a local token. `receipt`:
    the payment that a provider received for a prepaid order, `PROVIDER:TRANSACTION`. `account`: the subject with a
    credit of the member, for goods on account; None where no credit is needed.
    """

    channel: Channel
    market_day: str
    community: str
    lines: tuple[Wanted, ...]
    fulfilment: Fulfilment
    payment: Payment
    point: str | None = None
    quote: Quote | None = None
    basket: UUID | None = None
    owner: str | None = None
    tenant: str = MAIN_TENANT
    receipt: str | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason against a request. 422: the value at `pointer` is invalid; 409: it is too late, or the item is sold
    out; 429: the buyer has too many unpaid orders; 503: it depends on a catalogue entry that can't be read.
    """

    status: int
    code: str
    pointer: str
    message: str


def price_order(
    order: UUID, code: str, draft: Draft, catalog: Catalog, now: datetime, hold_ttl_s: int
) -> Order | Refusal:
    """Return the placed order with its prices frozen at `now` (business time), or the first reason against it."""
    day = catalog.market_days.get(draft.market_day)
    if day is None:
        return missing_entry(catalog, "/market_day", "market-days", draft.market_day)
    pool = catalog.pool(day.id, draft.community)
    refusal = next(_refusals(draft, catalog, day, pool, now), None)
    if refusal or pool is None:
        return refusal or invalid("/community", f"no site serves community {draft.community}")
    lines = _price_lines(draft, pool, catalog, now)
    if isinstance(lines, Refusal):
        return lines
    terms = Terms(
        order=order,
        channel=draft.channel,
        market_day=day.id,
        community=draft.community,
        pool=pool,
        lines=tuple(lines),
        fulfilment=draft.fulfilment,
        payment=draft.payment,
        code=code,
        due_by=_due_by(draft, catalog, day),
        closes_at=day.closes_at,
        placed_at=now,
        point=draft.point,
        quote=draft.quote,
        basket=draft.basket,
        hold_ttl_s=hold_ttl_s,
        owner=draft.owner,
        tenant=draft.tenant,
        receipt=draft.receipt,
    )
    money = (Money(terms.receipt or PREPAID, terms.total_fen),) if draft.payment is Payment.PREPAID else ()
    return Order(terms, money=money)


def _price_lines(draft: Draft, pool: str, catalog: Catalog, now: datetime) -> list[OrderLine] | Refusal:
    lines: list[OrderLine] = []
    for n, wanted in enumerate(draft.lines):
        line = price_line(n, wanted, draft.channel, catalog, now)
        if isinstance(line, Refusal):
            return line
        if (pool, line.item) in catalog.sold_out:
            sold_out = f"item {line.item} is sold out: order it when it is offered again"
            return Refusal(409, "sold-out", f"/lines/{n}", sold_out)
        lines.append(line)
    return _over_limits(lines, catalog) or lines


def _refusals(draft: Draft, catalog: Catalog, day: MarketDayPut, pool: str | None, now: datetime) -> Iterator[Refusal]:
    if now >= day.closes_at:
        closed = f"market day {day.id} has taken no orders since {day.closes_at.isoformat()}"
        yield Refusal(409, "market-day-closed", "/market_day", closed)
    if draft.community not in catalog.communities:
        yield missing_entry(catalog, "/community", "communities", draft.community)
    if pool is None:
        yield invalid("/community", f"no site of market day {day.id} serves community {draft.community}")
    if draft.fulfilment is Fulfilment.PICKUP:
        point = catalog.points.get(draft.point or "")
        if point is None and f"points/{draft.point}" in catalog.unreadable:
            yield unreadable_entry("/fulfilment/point", f"points/{draft.point}")
        if point is None or point.community != draft.community:
            yield invalid("/fulfilment/point", f"{draft.point} is not a pickup point of community {draft.community}")
    if draft.quote and draft.quote.community != draft.community:
        made_for = f"the quote was made for community {draft.quote.community}, not for {draft.community}"
        yield invalid("/fulfilment/quote/community", made_for)
    if draft.quote and now >= draft.quote.until:
        expired = f"the quote expired at {draft.quote.until.isoformat()}: request a new one"
        yield Refusal(409, "quote-expired", "/fulfilment/quote/until", expired)


def price_line(n: int, wanted: Wanted, channel: Channel, catalog: Catalog, now: datetime) -> OrderLine | Refusal:
    """Return the `n`-th line (from 0) with the price in effect at `now`, or the reason against it."""
    item = catalog.items.get(wanted.item)
    if item is None:
        return missing_entry(catalog, f"/lines/{n}/item", "items", wanted.item)
    weighed = item.unit is Unit.GRAM
    quantity, other = (wanted.weight_g, "quantity") if weighed else (wanted.quantity, "weight_g")
    if quantity is None or quantity <= 0:
        expected = "weight_g" if weighed else "quantity"
        return invalid(f"/lines/{n}/{other}", f"item {item.id} is sold by {item.unit}: send {expected}, more than 0")
    if unreadable_price := catalog.barred.get((item.id, channel)):
        return unreadable_entry(f"/lines/{n}/item", unreadable_price)
    price = price_at(catalog.prices.get((item.id, channel), ()), now)
    if price is None:
        return invalid(f"/lines/{n}/item", f"item {item.id} has no price on channel {channel} yet")
    return OrderLine(
        line=n + 1,
        item=item.id,
        quantity=quantity,
        unit=item.unit,
        price_fen=price.price_fen,
        price=price.id,
        amount_fen=amount_fen(price.price_fen, quantity, item.unit),
    )


def _over_limits(lines: list[OrderLine], catalog: Catalog) -> Refusal | None:
    total = sum(line.amount_fen for line in lines)
    if total > MOST_FEN:
        return invalid("/lines", f"the order costs {total} fen, the limit is {MOST_FEN}")
    load = sum(
        line.quantity * catalog.items[line.item].unit_g // (1000 if line.unit is Unit.GRAM else 1) for line in lines
    )
    if load > MOST_G:
        return invalid("/lines", f"the order weighs {load} g, the limit is {MOST_G}: place several orders")
    return None


def _due_by(draft: Draft, catalog: Catalog, day: MarketDayPut) -> datetime:
    if draft.fulfilment is Fulfilment.PICKUP:
        return catalog.closing(day, catalog.points[draft.point or ""])
    return catalog.slot_by(day)  # not the quoted slot: dispatch may still plan a later one and notify the buyer


def missing_entry(catalog: Catalog, pointer: str, kind: str, id: str) -> Refusal:
    """Return the refusal of an id without a catalogue entry; a 503 where there is an entry that can't be read."""
    path = f"{kind}/{id}"
    if path in catalog.unreadable:
        return unreadable_entry(pointer, path)
    return invalid(pointer, f"{_NAMES[kind]} {id} is not known")


def unreadable_entry(pointer: str, path: str) -> Refusal:
    """Return the refusal of a request that depends on an unreadable catalogue entry; it ends once the entry is put
    again.
    """
    return Refusal(503, "catalogue-entry-unreadable", pointer, f"catalogue entry {path} can't be read; put it again")


def invalid(pointer: str, message: str) -> Refusal:
    """Return the refusal of one value, by its JSON pointer."""
    return Refusal(422, "unprocessable", pointer, message)
