"""Allocation: grants stock to one reserve command or refuses it. First come, first served: callers keep the order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from contracts.events.inventory import ShortLine
from contracts.events.orders import GoodsLine, SaleLine
from services.inventory.domain.stock import Stock

SHORT, SOLD_OUT = "short", "sold out"


@dataclass(frozen=True, slots=True)
class Grant:
    """The granted lines, each above zero."""

    lines: tuple[GoodsLine, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal of all lines; each short line has the available quantity of its item."""

    reason: str
    short: tuple[ShortLine, ...] = ()


def demand(lines: Iterable[GoodsLine | SaleLine]) -> Counter[str]:
    """Return the quantity of each item, summed over the lines."""
    total: Counter[str] = Counter()
    for line in lines:
        total[line.item] += line.quantity
    return total


def allocate(stock: Mapping[str, Stock], lines: Sequence[GoodsLine], *, partial: bool = False) -> Grant | Refusal:
    """Grant the lines out of the stock of their items; a refusal is `sold out` where all short items are closed."""
    answer = grant({item: found.promisable for item, found in stock.items()}, lines, partial=partial)
    if isinstance(answer, Refusal) and all(line.item in stock and stock[line.item].closed for line in answer.short):
        return Refusal(SOLD_OUT, answer.short)
    return answer


def grant(left: Mapping[str, int], lines: Sequence[GoodsLine], *, partial: bool = False) -> Grant | Refusal:
    """Grant all lines out of the quantities `left` of their items; with `partial`, as much of them as there is.

    An item's demand is summed over all lines before it is checked, so that two lines of the same item can't both
    be granted the last unit.
    """
    if partial:
        return _grant_partly(left, lines)
    short = {item for item, wanted in demand(lines).items() if wanted > left.get(item, 0)}
    if short:
        return Refusal(SHORT, _short_lines(left, lines, short))
    return Grant(tuple(line for line in lines if line.quantity))


def _grant_partly(left: Mapping[str, int], lines: Sequence[GoodsLine]) -> Grant | Refusal:
    remaining = dict(left)
    granted = []
    for line in lines:
        quantity = min(line.quantity, remaining.get(line.item, 0))
        if quantity:
            remaining[line.item] -= quantity
            granted.append(GoodsLine(line=line.line, item=line.item, quantity=quantity))
    if granted:
        return Grant(tuple(granted))
    return Refusal(SHORT, _short_lines(left, lines, set(demand(lines))))


def _short_lines(left: Mapping[str, int], lines: Iterable[GoodsLine], short: set[str]) -> tuple[ShortLine, ...]:
    return tuple(
        ShortLine(line=line.line, item=line.item, asked=line.quantity, available=left.get(line.item, 0))
        for line in lines
        if line.item in short
    )
