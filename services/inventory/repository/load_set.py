"""Load set: the keys of the rows that a batch or request touches, so that they are read in one statement a table."""

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
"""The kinds of deadlines: a hold expires, a lease lapses."""
Key = tuple[str, str]
"""(pool, item)"""


@dataclass(slots=True)
class LoadSet:
    """Keys of rows.

    - `terminals`: (terminal, pool) with all their allotments;
    - `causes`: their movements;
    - `goods`: items with their lots; `lots`: single lots;
    - `outgoing`: how much of an item may leave on hand; `leaving`: reservations with goods that may leave.
    """

    pools: set[str] = field(default_factory=set)
    reservations: set[UUID] = field(default_factory=set)
    leaving: set[UUID] = field(default_factory=set)
    terminals: set[tuple[str, str]] = field(default_factory=set)
    sales: set[UUID] = field(default_factory=set)
    causes: set[str] = field(default_factory=set)
    stock: set[Key] = field(default_factory=set)
    goods: set[Key] = field(default_factory=set)
    outgoing: Counter[Key] = field(default_factory=Counter)
    lots: set[UUID] = field(default_factory=set)

    @classmethod
    def of(cls, messages: Sequence[Message[Any]]) -> LoadSet:
        """Return the keys that the handlers of these messages look up, from the content of the messages alone."""
        found = cls()
        for message in messages:
            found._add(message.data)
        return found

    def _add(self, data: Any) -> None:
        match data:
            case ReserveStock():
                self._add_reservations(data.pool, data.reservation, *([data.source] if data.source else []))
                self.stock |= {(data.pool, line.item) for line in data.lines}
            case ReleaseStock() | CommitStock() | OrderReturned():
                self._add_reservations(data.pool, data.reservation)
            case JobLoaded() | OrderCollected():
                self._add_reservations(data.pool, data.reservation)
                self.leaving.add(data.reservation)
                self._add_outgoing(data.pool, data.lines)
            case JobReturned():
                self._add_reservations(data.pool, data.reservation)
                self.causes.add(f"reservation/{data.reservation}")
            case SaleRecorded():
                self._add_terminal(data.terminal, data.pool)
                self.sales.add(data.sale)
                self._add_outgoing(data.pool, data.lines)
            case SaleVoided():
                self._add_terminal(data.terminal, data.pool)
                self.sales.add(data.sale)
                self.causes.add(sale_cause(data.sale))
            case SessionClosed():
                self._add_terminal(data.terminal, data.pool)
            case DeadlineReached(kind="expire", subject=subject):
                pool, reservation = subject.split("/")
                self._add_reservations(pool, UUID(reservation))
            case DeadlineReached(kind="lapse", subject=subject):
                pool, terminal, _item = subject.split("/")
                self._add_terminal(terminal, pool)

    def _add_reservations(self, pool: str, *reservations: UUID) -> None:
        self.pools.add(pool)
        self.reservations.update(reservations)

    def _add_terminal(self, terminal: str, pool: str) -> None:
        self.pools.add(pool)
        self.terminals.add((terminal, pool))

    def _add_outgoing(self, pool: str, lines: Iterable[Any]) -> None:
        for line in lines:
            self.outgoing[pool, line.item] += line.quantity


def expiry_of(pool: str, reservation: UUID) -> str:
    """Return the subject of a hold's deadline."""
    return f"{pool}/{reservation}"


def lapse_of(pool: str, terminal: str, item: str) -> str:
    """Return the subject of a lease's deadline."""
    return f"{pool}/{terminal}/{item}"
