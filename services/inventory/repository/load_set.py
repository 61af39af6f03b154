"""Which rows a message or request touches, told from its content alone, so that a batch loads them in one go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from contracts.events.dispatch import JobLoaded, JobReturned
from contracts.events.inventory import CommitStock, ReleaseStock, ReserveStock
from contracts.events.orders import OrderCollected, OrderReturned, SaleRecorded, SaleVoided, SessionClosed
from services.inventory.domain.sale import sale_cause
from services.kit.transaction.message import DeadlineReached, Message

EXPIRE, LAPSE = "expire", "lapse"
Key = tuple[str, str]
"""(pool, item)"""


@dataclass(slots=True)
class LoadSet:
    """Keys of rows. `out` is how much of an item may leave on hand, `going` reservations whose goods may leave,
    `goods` items whose lots are needed, `causes` whose movements are, `lots` lots that were named.
    """

    pools: set[str] = field(default_factory=set)
    reservations: set[UUID] = field(default_factory=set)
    going: set[UUID] = field(default_factory=set)
    terminals: set[tuple[str, str]] = field(default_factory=set)
    sales: set[UUID] = field(default_factory=set)
    causes: set[str] = field(default_factory=set)
    stock: set[Key] = field(default_factory=set)
    goods: set[Key] = field(default_factory=set)
    out: Counter[Key] = field(default_factory=Counter)
    lots: set[UUID] = field(default_factory=set)


def expiry_of(pool: str, reservation: UUID) -> str:
    """The subject of a hold's deadline."""
    return f"{pool}/{reservation}"


def lapse_of(pool: str, terminal: str, item: str) -> str:
    """The subject of a lease's deadline."""
    return f"{pool}/{terminal}/{item}"


def load_set_of(messages: Sequence[Message[Any]]) -> LoadSet:
    """What the handlers of these messages will look up."""
    needs = LoadSet()
    for message in messages:
        _add(needs, message.data)
    return needs


def _add(needs: LoadSet, data: Any) -> None:
    match data:
        case ReserveStock():
            _claim(needs, data.pool, data.reservation, *([data.source] if data.source else []))
            needs.stock |= {(data.pool, line.item) for line in data.lines}
        case ReleaseStock() | CommitStock() | OrderReturned():
            _claim(needs, data.pool, data.reservation)
        case JobLoaded() | OrderCollected():
            _claim(needs, data.pool, data.reservation)
            needs.going.add(data.reservation)
            _leave(needs, data.pool, data.lines)
        case JobReturned():
            _claim(needs, data.pool, data.reservation)
            needs.causes.add(f"reservation/{data.reservation}")
        case SaleRecorded():
            _stall(needs, data.terminal, data.pool)
            needs.sales.add(data.sale)
            _leave(needs, data.pool, data.lines)
        case SaleVoided():
            _stall(needs, data.terminal, data.pool)
            needs.sales.add(data.sale)
            needs.causes.add(sale_cause(data.sale))
        case SessionClosed():
            _stall(needs, data.terminal, data.pool)
        case DeadlineReached(kind="expire", subject=subject):
            pool, reservation = subject.split("/")
            _claim(needs, pool, UUID(reservation))
        case DeadlineReached(kind="lapse", subject=subject):
            pool, terminal, _item = subject.split("/")
            _stall(needs, terminal, pool)


def _claim(needs: LoadSet, pool: str, *reservations: UUID) -> None:
    needs.pools.add(pool)
    needs.reservations.update(reservations)


def _stall(needs: LoadSet, terminal: str, pool: str) -> None:
    needs.pools.add(pool)
    needs.terminals.add((terminal, pool))


def _leave(needs: LoadSet, pool: str, lines: Iterable[Any]) -> None:
    for line in lines:
        needs.out[pool, line.item] += line.quantity
