"""Inventory without a database: the real handlers on the real repository, with the published events collected."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4, uuid5

from contracts.envelope import Envelope, Event
from contracts.events.dispatch import JobLoaded, JobReturned
from contracts.events.inventory import CommitStock, Place, ReleaseStock, ReserveStock
from contracts.events.orders import GoodsLine, SaleLine, SaleRecorded, SaleVoided, SessionClosed
from services.inventory import handlers
from services.inventory.domain import allotment as rules
from services.inventory.domain import lot as lotting
from services.inventory.domain.allocation import demand
from services.inventory.domain.lot import Lot
from services.inventory.domain.shortfall import Claimant
from services.inventory.domain.stock import Move
from services.inventory.repository.load_set import expiry_of, lapse_of
from services.inventory.repository.stock import StockRepository
from services.kit.clock import ManualClock
from services.kit.transaction.message import DeadlineReached, Message, Record
from services.kit.transaction.ports import Ports
from services.kit.transaction.unit_of_work import UnitOfWork

POOL = "2026-05-16@simaochong"
NOON = datetime(2026, 5, 16, 4, 0, tzinfo=UTC)
IDS = uuid5(UUID(int=0), "inventory tests")
RECORD = Record("test", 0, 0, None, None, {})
HANDLERS = {type_: handler for found in handlers.SUBSCRIPTIONS for type_, handler in found.handlers.items()}
HANDLERS[DeadlineReached] = handlers.on_due
E = TypeVar("E", bound=Event)


def name(text: str) -> UUID:
    """A readable id."""
    return uuid5(IDS, text)


def order_of(reservation: UUID) -> UUID:
    """The order that a reservation is made for here."""
    return uuid5(IDS, f"order of {reservation}")


def lines(*goods: tuple[str, int]) -> list[GoodsLine]:
    """Lines numbered from 1."""
    return [GoodsLine(line=n, item=item, quantity=q) for n, (item, q) in enumerate(goods, 1)]


def reserve(reservation: UUID, *goods: tuple[str, int], firm: bool = True, **more: Any) -> ReserveStock:
    """A reserve command; a hold lives for 15 minutes."""
    ttl = None if firm else 900
    names = {"reservation": reservation, "pool": POOL, "order": order_of(reservation)}
    return ReserveStock(**names, firm=firm, ttl_s=ttl, lines=lines(*goods), **more)


def release(reservation: UUID) -> ReleaseStock:
    """A release command."""
    return ReleaseStock(reservation=reservation, pool=POOL, order=order_of(reservation))


def commit(reservation: UUID) -> CommitStock:
    """A commit command."""
    return CommitStock(reservation=reservation, pool=POOL, order=order_of(reservation))


def job(kind: type[E], reservation: UUID, *goods: tuple[str, int]) -> E:
    """A job's step with its goods."""
    order = order_of(reservation)
    names = {"job": uuid5(IDS, f"job {reservation}"), "order": order, "pool": POOL, "reservation": reservation}
    return kind(**names, lines=lines(*goods), courier="c1", epoch=1)


def loaded(reservation: UUID, *goods: tuple[str, int]) -> JobLoaded:
    """The goods are on a vehicle."""
    return job(JobLoaded, reservation, *goods)


def returned(reservation: UUID, *goods: tuple[str, int]) -> JobReturned:
    """The goods are back."""
    return job(JobReturned, reservation, *goods)


def _stall(terminal: str) -> dict[str, Any]:
    return {
        "terminal": terminal, "pool": POOL, "device": "d1", "session": "s1", "seq_no": 1, "recorded_at": NOON,
    }  # fmt: skip


def sale(id: UUID, terminal: str, *goods: tuple[str, int]) -> SaleRecorded:
    """A sale at a stall."""
    sold = [SaleLine(item=item, quantity=quantity, amount_fen=0) for item, quantity in goods]
    return SaleRecorded(**_stall(terminal), sale=id, lines=sold, total_fen=0)


def void(id: UUID, terminal: str, *goods: tuple[str, int]) -> SaleVoided:
    """The undoing of a sale."""
    return SaleVoided(**_stall(terminal), sale=id, lines=sale(id, terminal, *goods).lines)


def session_closed(terminal: str, *, complete: bool = True) -> SessionClosed:
    """A stall session's end."""
    return SessionClosed(**_stall(terminal), last_seq=1, complete=complete)


class FakeUnit:
    """The part of a unit of work that handlers use: the time, the cause, and a collector of events."""

    consumer = "inventory.test"
    ports = Ports(ManualClock(NOON))
    store = None

    def __init__(self) -> None:
        self.now = NOON
        self.cause: Message[Any] | None = None
        self.published: list[Event] = []
        self.deadlines: dict[tuple[str, str], datetime] = {}

    def emit(self, event: Event, *, part: str = "") -> UUID:
        """Collects the event."""
        self.published.append(event)
        return uuid4()

    def set_deadline(self, kind: str, subject: str, at: datetime, **_: Any) -> None:
        """Sets a deadline."""
        self.deadlines[kind, subject] = at

    def clear_deadline(self, kind: str, subject: str) -> None:
        """Removes a deadline."""
        self.deadlines.pop((kind, subject), None)


class World(StockRepository):
    """A repository that has loaded everything and is never saved; a message's handler runs when it is sent."""

    def __init__(self) -> None:
        self.unit = FakeUnit()
        super().__init__(cast(UnitOfWork, self.unit))

    @property
    def moves(self) -> list[Move]:
        """Every movement so far."""
        return [movement.move for movement in self._movements]

    def send(self, data: Event | DeadlineReached) -> list[Event]:
        """Return the events that the message's handler publishes."""
        kind = getattr(data, "TYPE", "kit.due")
        envelope = Envelope(uuid4(), kind, "test", data.subject, self.unit.now)
        self.unit.cause = Message(envelope, data, RECORD)
        self._claimants.clear()
        for item in {stock.item for stock in self.stocks.values()}:
            self._claimants[POOL, item] = self._everyone(item)
        before = len(self.unit.published)
        HANDLERS[type(data)](self, self.unit.cause)
        return self.unit.published[before:]

    def _everyone(self, item: str) -> list[Claimant]:
        return [
            Claimant(r.id, r.order, r.state == "held", no, demand(r.lines)[item])
            for no, r in enumerate(self.reservations.values())
            if r.active and demand(r.lines)[item]
        ]

    def wait(self, minutes: float) -> None:
        """Business time passes."""
        self.unit.now += timedelta(minutes=minutes)

    def expire(self, reservation: UUID) -> list[Event]:
        """A hold's deadline fires, rightly or not."""
        return self.send(DeadlineReached("expire", expiry_of(POOL, reservation), 0, self.unit.now))

    def lapse(self, terminal: str, item: str) -> list[Event]:
        """A lease's deadline fires, rightly or not."""
        return self.send(DeadlineReached("lapse", lapse_of(POOL, terminal, item), 0, self.unit.now))

    def receive(self, lot: UUID, item: str, quantity: int, passed: int | None = None, hours: int = 8) -> None:
        """A lot is weighed in and inspected; it can be sold for so many hours."""
        received = Lot(lot, POOL, item, "h1", quantity, NOON, NOON, NOON + timedelta(hours=hours))
        after, moves = lotting.inspect(received, quantity if passed is None else passed)
        self.lots.put(after)
        self.apply(moves)

    def lend(self, terminal: str, item: str, quantity: int, minutes: int = 60) -> None:
        """A grant; raises `NotAvailable`."""
        until = self.unit.now + timedelta(minutes=minutes)
        before = self.allotment(terminal, POOL, item)
        self.apply_change(rules.lend(before, self.stock(POOL, item), quantity, until, f"allotment/{terminal}"))

    def give_back(self, terminal: str, item: str, quantity: int, *, counted: bool = True) -> None:
        """A counted return."""
        before = self.allotment(terminal, POOL, item)
        lots, losses = self.lots_of(POOL, item), self.history(before.loss_cause)
        self.apply_change(rules.give_back(before, quantity, f"return/{terminal}", lots, losses, counted=counted))

    def renew(self, terminal: str, item: str, minutes: int = 60) -> None:
        """A new lease."""
        until = self.unit.now + timedelta(minutes=minutes)
        self.apply_change(rules.renew(self.allotment(terminal, POOL, item), until, f"renewal/{terminal}"))

    def waste(self, item: str, quantity: int, lot: Lot | None = None) -> None:
        """Goods are thrown away, of a lot that was read or not."""
        lots, cause = self.lots_of(POOL, item), f"waste/{uuid4()}"
        if lot:
            self.apply(lotting.take_named(lot, quantity, Place.WASTE, cause, self.inferred(item, lot.id), lots))
        else:
            self.apply(lotting.take(POOL, item, quantity, Place.WASTE, cause, lots))

    def inferred(self, item: str, lot: UUID | None) -> list[Move]:
        """Return the inferred movements of a lot."""
        return [m for m in self.moves if (m.item, m.lot, m.inferred) == (item, lot, True)]

    def figures(self, item: str) -> tuple[int, ...]:
        """on hand, held, allocated, allotted, unconfirmed, shortfall, available"""
        s = self.stock(POOL, item)
        return s.on_hand, s.held, s.allocated, s.allotted, s.unconfirmed, s.shortfall, s.available


def of(kind: type[E], published: Iterable[Event]) -> list[E]:
    """The events of one type."""
    return [event for event in published if isinstance(event, kind)]
