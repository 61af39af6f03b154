"""Use cases of lots: goods are received from a household and inspected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.events.inventory import LotReceived, LotRejected, LotReleased, Reason
from services.inventory.commands.checks import Goods, check_goods, check_not_ahead, entity
from services.inventory.domain import lot as rules
from services.inventory.domain.lot import Lot, LotState
from services.inventory.repository.load_set import LoadSet
from services.inventory.repository.stock import StockRepository
from services.kit.http import problems


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveLot:
    """Goods of a household that were weighed in."""

    id: UUID
    goods: Goods
    household: str
    harvested_at: datetime
    sell_by: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectLot:
    """The result of an inspection. `quantity` is the quantity that passed, None for all of it; `reason` and `note`
    explain why the rest is rejected.
    """

    id: UUID
    passed: bool
    quantity: int | None
    reason: Reason
    note: str


async def receive(repository: StockRepository, command: ReceiveLot) -> Lot:
    """Record a lot; its goods can't be sold before their inspection."""
    uow, goods = repository.uow, command.goods
    check_not_ahead(command.harvested_at, uow.now, "/harvested_at")
    await check_goods(repository.store, goods)
    await entity(repository.store, "household", command.household)
    await repository.load_rows(LoadSet(pools={goods.pool}))
    lot = Lot(
        id=command.id,
        pool=goods.pool,
        item=goods.item,
        household=command.household,
        received=goods.quantity,
        received_at=uow.now,
        harvested_at=command.harvested_at,
        sell_by=command.sell_by,
    )
    repository.lots.put(lot)
    uow.emit(
        LotReceived(
            lot=lot.id,
            pool=lot.pool,
            item=lot.item,
            household=lot.household,
            quantity=lot.received,
            harvested_at=lot.harvested_at,
            sell_by=lot.sell_by,
        )
    )
    await repository.save()
    return lot


async def inspect(repository: StockRepository, command: InspectLot) -> Lot:
    """Release the quantity that passed into the pool and reject the rest; the same result again changes nothing.

    Raises a 404 problem for an unknown lot, 422 where more passed than was received, 409 for another result.
    """
    found = await repository.store.read_lot_view(command.id)
    if found is None:
        raise problems.not_found(f"lot {command.id}")
    pool, item = found["pool"], found["item"]
    await repository.load_rows(LoadSet(pools={pool}, stock={(pool, item)}, lots={command.id}))
    lot = repository.lots[command.id]
    passed = (command.quantity or lot.received) if command.passed else 0
    if passed > lot.received:
        raise problems.unprocessable("/quantity", f"must be at most the received quantity of the lot, {lot.received}")
    if lot.state is not LotState.RECEIVED:
        if lot.released != passed:
            raise problems.conflict(f"lot {lot.id} was inspected with another result: {lot.released} passed")
        return lot
    after, moves = rules.inspect(lot, passed)
    repository.lots.put(after)
    repository.apply(moves)
    names = {"lot": lot.id, "pool": pool, "item": item}
    if after.released:
        repository.uow.emit(LotReleased(**names, quantity=after.released))
    if after.rejected:
        repository.explain(f"inspection/{lot.id}", pool, item, command.reason, command.note)
        repository.uow.emit(LotRejected(**names, quantity=after.rejected, reason=command.reason))
    await repository.save()
    return after
