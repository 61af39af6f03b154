"""Who gets the stock when several ask: first come, first served, in the order of arrival."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from contracts.events.inventory import ShortLine
from contracts.events.orders import GoodsLine
from services.inventory.domain.stock import Stock

SHORT, SOLD_OUT = "short", "sold out"


@dataclass(frozen=True, slots=True)
class Request:
    """An ask for all of its lines, or with `partial` for what there is of them."""

    reservation: UUID
    lines: tuple[GoodsLine, ...]
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """The lines that were granted, each above zero."""

    reservation: UUID
    lines: tuple[GoodsLine, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing was granted; each short line says what there was of its item."""

    reservation: UUID
    reason: str
    short: tuple[ShortLine, ...] = ()


def demand(lines: Iterable[GoodsLine]) -> Counter[str]:
    """How much of each item all lines together ask for."""
    total: Counter[str] = Counter()
    for line in lines:
        total[line.item] += line.quantity
    return total


def grant(left: Mapping[str, int], request: Request) -> Grant | Refusal:
    """The answer to one request out of what is left of each item.

    An item's demand is summed over all lines before it is checked, so that two lines of the same item can't both
    be granted the last unit.
    """
    if request.partial:
        return _as_far_as_it_goes(left, request)
    short = {item for item, asked in demand(request.lines).items() if asked > left.get(item, 0)}
    if short:
        return Refusal(request.reservation, SHORT, _short_lines(left, request.lines, short))
    return Grant(request.reservation, tuple(line for line in request.lines if line.quantity))


def _as_far_as_it_goes(left: Mapping[str, int], request: Request) -> Grant | Refusal:
    remaining = dict(left)
    granted = []
    for line in request.lines:
        quantity = min(line.quantity, remaining.get(line.item, 0))
        if quantity:
            remaining[line.item] -= quantity
            granted.append(GoodsLine(line=line.line, item=line.item, quantity=quantity))
    if granted:
        return Grant(request.reservation, tuple(granted))
    return Refusal(request.reservation, SHORT, _short_lines(left, request.lines, set(demand(request.lines))))


def _short_lines(left: Mapping[str, int], lines: Iterable[GoodsLine], short: set[str]) -> tuple[ShortLine, ...]:
    return tuple(
        ShortLine(line=line.line, item=line.item, asked=line.quantity, available=left.get(line.item, 0))
        for line in lines
        if line.item in short
    )


def allocate(stock: Mapping[str, Stock], requests: Sequence[Request]) -> list[Grant | Refusal]:
    """One answer per request, in arrival order; a refused request takes nothing from those behind it."""
    left = {item: found.promisable for item, found in stock.items()}
    answers: list[Grant | Refusal] = []
    for request in requests:
        answer = grant(left, request)
        if isinstance(answer, Grant):
            for line in answer.lines:
                left[line.item] -= line.quantity
        elif all(line.item in stock and stock[line.item].closed for line in answer.short):
            answer = Refusal(answer.reservation, SOLD_OUT, answer.short)
        answers.append(answer)
    return answers
