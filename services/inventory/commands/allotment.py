"""Use cases of allotments: stock is lent to terminals, sold by them, moved, counted back, and its leases end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from contracts.events.inventory import AllotmentGranted, AllotmentLapsed, AllotmentReturned
from contracts.events.orders import SaleRecorded, SaleVoided
from services.inventory.commands.checks import Goods, check_goods, check_terminal
from services.inventory.domain import allotment as rules
from services.inventory.domain.allocation import demand
from services.inventory.domain.allotment import Allotment
from services.inventory.domain.sale import Sale
from services.inventory.repository.load_set import LoadSet
from services.inventory.repository.stock import StockRepository
from services.kit.http import problems


@dataclass(frozen=True, slots=True, kw_only=True)
class LendStock:
    """Goods to lend to a terminal until `lease_until`."""

    id: UUID
    terminal: str
    goods: Goods
    lease_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnStock:
    """Goods that were counted back from a terminal, 0 included."""

    id: UUID
    terminal: str
    goods: Goods


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveStock:
    """Lent goods to move from one terminal to another, on a lease until `lease_until`."""

    id: UUID
    from_terminal: str
    to_terminal: str
    goods: Goods
    lease_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewLease:
    """A new lease for everything that a terminal was lent of an item."""

    terminal: str
    pool: str
    item: str
    lease_until: datetime


async def lend(repository: StockRepository, command: LendStock) -> Allotment:
    """Lend stock to a terminal on a lease. Raises a 409 problem where the pool can't promise that much."""
    goods = command.goods
    await check_goods(repository.store, goods)
    await check_terminal(repository.store, command.terminal, goods.pool)
    await repository.load_rows(_allotments_of(goods.pool, goods.item, command.terminal))
    lent = _lend(repository, command.terminal, goods, command.lease_until, f"allotment/{command.id}")
    await repository.save()
    return lent


async def give_back(repository: StockRepository, command: ReturnStock) -> Allotment:
    """Take back a counted quantity: a fact, never refused. The part above the lent quantity is found goods."""
    goods = command.goods
    await check_goods(repository.store, goods)
    await check_terminal(repository.store, command.terminal, goods.pool)
    await repository.load_rows(_allotments_of(goods.pool, goods.item, command.terminal))
    back = _give_back(repository, command.terminal, goods, f"return/{command.id}", counted=True)
    await repository.save()
    return back


async def move(repository: StockRepository, command: MoveStock) -> tuple[Allotment, Allotment]:
    """Move lent stock, as a return and a grant in one transaction; return the allotments of both terminals."""
    goods, cause = command.goods, f"move/{command.id}"
    await check_goods(repository.store, goods)
    await check_terminal(repository.store, command.to_terminal, goods.pool)
    await repository.load_rows(_allotments_of(goods.pool, goods.item, command.from_terminal, command.to_terminal))
    left = _give_back(repository, command.from_terminal, goods, cause, counted=False)
    lent = _lend(repository, command.to_terminal, goods, command.lease_until, cause)
    await repository.save()
    return left, lent


async def renew(repository: StockRepository, command: RenewLease) -> Allotment:
    """Give an allotment a new lease; unconfirmed goods are allotted again. The same lease again changes nothing.

    Raises a 404 problem where nothing was ever lent.
    """
    await repository.load_rows(_allotments_of(command.pool, command.item, command.terminal))
    before = repository.allotment(command.terminal, command.pool, command.item)
    if not before.version:
        raise problems.not_found(f"an allotment of {command.item} to {command.terminal} in {command.pool}")
    _check_lease(command.lease_until, repository.uow.now)
    if before.lease_until == command.lease_until and not before.unconfirmed:
        return before
    change = rules.renew(before, command.lease_until, f"renewal/{command.terminal}")
    renewed = repository.apply_change(change)
    repository.uow.emit(rules.allotment_event(AllotmentGranted, renewed, 0))
    await repository.save()
    return renewed


def sell(repository: StockRepository, fact: SaleRecorded) -> None:
    """Record a stall sale, once; a sale that was voided before it arrived has no effect."""
    if repository.sales.get(fact.sale):
        return
    sale = Sale(fact.sale, fact.terminal, fact.pool)
    repository.sales.put(sale)
    for item, quantity in demand(fact.lines).items():
        before = repository.allotment(fact.terminal, fact.pool, item)
        lots, losses = repository.lots_of(fact.pool, item), repository.history(before.loss_cause)
        now, unit = repository.uow.now, repository.unit_of(item)
        repository.apply_change(rules.sell(before, quantity, sale.cause, lots, losses, now, unit))


def void(repository: StockRepository, fact: SaleVoided) -> None:
    """Undo a stall sale, once: its goods are on the terminal's table again."""
    sale = repository.sales.get(fact.sale) or Sale(fact.sale, fact.terminal, fact.pool)
    if sale.voided:
        return
    repository.sales.put(replace(sale, voided=True))
    moves = repository.history(sale.cause)
    for item in dict.fromkeys(move.item for move in moves):
        before = repository.allotment(sale.terminal, sale.pool, item)
        lots = repository.lots_of(sale.pool, item)
        repository.apply_change(rules.void(before, moves, sale.cause, repository.uow.now, lots))


def close_session(repository: StockRepository, terminal: str, pool: str) -> None:
    """Close a terminal's session of which every upload has arrived: after a counted return the rest is lost."""
    for allotment in tuple(repository.allotments.values()):
        if (allotment.terminal, allotment.pool) == (terminal, pool):
            lots = repository.lots_of(pool, allotment.item)
            repository.apply_change(rules.close(allotment, lots))


def lapse(repository: StockRepository, pool: str, terminal: str, item: str) -> None:
    """End a lease, unless it was renewed: the allotted goods become unconfirmed."""
    before = repository.allotment(terminal, pool, item)
    change = rules.lapse(before, repository.uow.now, f"allotment/{pool}/{terminal}/{item}")
    _, moves = change
    if moves:
        after = repository.apply_change(change)
        repository.uow.emit(rules.allotment_event(AllotmentLapsed, after, before.allotted))


def _allotments_of(pool: str, item: str, *terminals: str) -> LoadSet:
    return LoadSet(pools={pool}, terminals={(terminal, pool) for terminal in terminals}, goods={(pool, item)})


def _lend(repository: StockRepository, terminal: str, goods: Goods, lease_until: datetime, cause: str) -> Allotment:
    _check_lease(lease_until, repository.uow.now)
    before, stock = repository.allotment(terminal, goods.pool, goods.item), repository.stock(goods.pool, goods.item)
    try:
        change = rules.lend(before, stock, goods.quantity, lease_until, cause)
    except rules.NotAvailable as short:
        detail = f"only {short.available} available of {goods.item} in {goods.pool}, {goods.quantity} requested"
        raise problems.conflict(detail, "not-available") from short
    lent = repository.apply_change(change)
    repository.uow.emit(rules.allotment_event(AllotmentGranted, lent, goods.quantity), part=cause)
    return lent


def _give_back(repository: StockRepository, terminal: str, goods: Goods, cause: str, *, counted: bool) -> Allotment:
    before = repository.allotment(terminal, goods.pool, goods.item)
    lots, losses = repository.lots_of(goods.pool, goods.item), repository.history(before.loss_cause)
    back = repository.apply_change(rules.give_back(before, goods.quantity, cause, lots, losses, counted=counted))
    repository.uow.emit(rules.allotment_event(AllotmentReturned, back, goods.quantity), part=cause)
    return back


def _check_lease(lease_until: datetime, now: datetime) -> None:
    if lease_until <= now:
        raise problems.unprocessable("/lease_until", "must be in the future: this lease would have ended already")
