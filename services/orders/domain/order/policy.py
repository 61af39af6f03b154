"""Whether an order can be taken, and on which terms: pure, from what was asked, the catalogue and the time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.events.catalog import MarketDayPut
from contracts.events.dispatch import Quote
from contracts.events.orders import OrderLine
from contracts.values import Channel, Fulfilment, Payment, Unit
from services.orders.domain.catalog import Catalog
from services.orders.domain.order.order import Money, Order, Terms
from services.orders.domain.order.pricing import amount_fen, price_at

PREPAID = "prepaid"
"""The payment id of an order that came already paid."""
MOST_FEN = 10**12
"""What an order may cost: far more than any does, and far within the 64 bits of a sum of many."""
MOST_G = 10**8
"""What an order may weigh, in grams: a hundred tonnes, which no vehicle carries."""
_NAMES = {"market-days": "market day", "communities": "community", "items": "item"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A line as asked for: pieces or grams, one of them."""

    item: str
    quantity: int | None = None
    weight_g: int | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """An order as asked for, its person left out."""

    channel: Channel
    market_day: str
    community: str
    lines: tuple[Wanted, ...]
    fulfilment: Fulfilment
    payment: Payment
    point: str | None = None
    quote: Quote | None = None
    basket: UUID | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order is not taken. 422: one thing in it is unusable (`pointer`); 409: it came too late, or asks for
    what is sold out; 503: it depends on a catalogue entry that can't be read.
    """

    status: int
    code: str
    pointer: str
    message: str


def accept(order: UUID, code: str, draft: Draft, catalog: Catalog, now: datetime, hold_ttl_s: int) -> Order | Refusal:
    """The placed order with its prices frozen at `now` (business time), or the first reason against it."""
    day = catalog.market_days.get(draft.market_day)
    if day is None:
        return lacking(catalog, "/market_day", "market-days", draft.market_day)
    pool = catalog.pool(day.id, draft.community)
    refusal = next(_against(draft, catalog, day, pool, now), None)
    if refusal or pool is None:
        return refusal or unusable("/community", "no site serves it")
    lines: list[OrderLine] = []
    for n, wanted in enumerate(draft.lines):
        line = line_of(n, wanted, draft.channel, catalog, now)
        if isinstance(line, Refusal):
            return line
        if (pool, line.item) in catalog.sold_out:
            return Refusal(
                409, "sold-out", f"/lines/{n}", f"{line.item} is sold out: order it when it is offered again"
            )
        lines.append(line)
    if wrong := _too_much(lines, catalog):
        return wrong
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
    )
    money = (Money(PREPAID, terms.total_fen),) if draft.payment is Payment.PREPAID else ()
    return Order(terms, money=money)


def _against(draft: Draft, catalog: Catalog, day: MarketDayPut, pool: str | None, now: datetime) -> Iterator[Refusal]:
    if now >= day.closes_at:
        yield Refusal(409, "market-day-closed", "/market_day", f"market day {day.id} takes no more orders")
    if draft.community not in catalog.communities:
        yield lacking(catalog, "/community", "communities", draft.community)
    if pool is None:
        yield unusable("/community", f"no site of market day {day.id} serves community {draft.community}")
    if draft.fulfilment is Fulfilment.PICKUP:
        point = catalog.points.get(draft.point or "")
        if point is None and f"points/{draft.point}" in catalog.unreadable:
            yield unreadable("/fulfilment/point", f"points/{draft.point}")
        if point is None or point.community != draft.community:
            yield unusable("/fulfilment/point", f"{draft.point} is no pickup point of community {draft.community}")
    if draft.quote and draft.quote.community != draft.community:
        yield unusable("/fulfilment/quote/community", "the quote was made for another community")
    if draft.quote and now >= draft.quote.until:
        yield Refusal(409, "quote-expired", "/fulfilment/quote/until", "the quote has run out: ask for a new one")


def line_of(n: int, wanted: Wanted, channel: Channel, catalog: Catalog, now: datetime) -> OrderLine | Refusal:
    """The `n`-th line (from 0) with the price that holds at `now`, or why there can be none."""
    item = catalog.items.get(wanted.item)
    if item is None:
        return lacking(catalog, f"/lines/{n}/item", "items", wanted.item)
    weighed = item.unit is Unit.GRAM
    quantity, other = (wanted.weight_g, "quantity") if weighed else (wanted.quantity, "weight_g")
    if quantity is None or quantity <= 0:
        right = "weight_g" if weighed else "quantity"
        return unusable(f"/lines/{n}/{other}", f"{item.id} is sold by {item.unit}: say {right}, more than 0")
    if broken := catalog.barred.get((item.id, channel)):
        return unreadable(f"/lines/{n}/item", broken)
    price = price_at(catalog.prices.get((item.id, channel), ()), now)
    if price is None:
        return unusable(f"/lines/{n}/item", f"{item.id} has no price on channel {channel} yet")
    return OrderLine(
        line=n + 1,
        item=item.id,
        quantity=quantity,
        unit=item.unit,
        price_fen=price.price_fen,
        price=price.id,
        amount_fen=amount_fen(price.price_fen, quantity, item.unit),
    )


def _too_much(lines: list[OrderLine], catalog: Catalog) -> Refusal | None:
    total = sum(line.amount_fen for line in lines)
    if total > MOST_FEN:
        return unusable("/lines", f"the order costs {total} fen, and at most {MOST_FEN} are possible")
    load = sum(
        line.quantity * catalog.items[line.item].unit_g // (1000 if line.unit is Unit.GRAM else 1) for line in lines
    )
    if load > MOST_G:
        return unusable("/lines", f"the order weighs {load} g, and at most {MOST_G} are possible: place several orders")
    return None


def _due_by(draft: Draft, catalog: Catalog, day: MarketDayPut) -> datetime:
    if draft.fulfilment is Fulfilment.PICKUP:
        return catalog.closing(day, catalog.points[draft.point or ""])
    return catalog.slot_by(day)  # whatever was quoted: dispatch may still plan a later slot, and the buyer is told


def lacking(catalog: Catalog, pointer: str, kind: str, id: str) -> Refusal:
    """A refusal of an id that the catalogue lacks; another one where it has the entry and can't read it."""
    path = f"{kind}/{id}"
    if path in catalog.unreadable:
        return unreadable(pointer, path)
    return unusable(pointer, f"{_NAMES[kind]} {id} is not known")


def unreadable(pointer: str, path: str) -> Refusal:
    """A refusal of what depends on a catalogue entry that can't be read, until an operator has put it again."""
    return Refusal(503, "catalogue-entry-unreadable", pointer, f"catalogue entry {path} can't be read; put it again")


def unusable(pointer: str, message: str) -> Refusal:
    """A refusal of one value, by its JSON pointer."""
    return Refusal(422, "unprocessable", pointer, message)
