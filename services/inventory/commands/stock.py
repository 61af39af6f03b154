"""Use cases of stock: facts about it that no event brings (counts, waste), and items that are closed manually."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.events.inventory import Place, Reason, SoldOut, StockRecounted
from services.inventory.commands.checks import Goods, check_goods, check_not_ahead, check_pool, entity
from services.inventory.domain import count as counting
from services.inventory.domain.lot import Lot, take, take_named
from services.inventory.repository.load_set import LoadSet
from services.inventory.repository.stock import StockRepository
from services.kit.http import problems


@dataclass(frozen=True, slots=True, kw_only=True)
class CountStock:
    """A count of an item, or of one lot of it, at `counted_at` (business time; None: now). `reason` is None where the
    cause of a difference is not known.
    """

    id: UUID
    pool: str
    item: str
    lot: UUID | None
    counted: int
    counted_at: datetime | None
    reason: Reason | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WasteStock:
    """Goods that were thrown away; `lot` where it was read."""

    id: UUID
    goods: Goods
    lot: UUID | None
    reason: Reason
    note: str


async def count(repository: StockRepository, command: CountStock) -> int:
    """Compare a count with the recorded quantity at count time and apply the difference; return the recorded one."""
    uow, pool, item = repository.uow, command.pool, command.item
    check_not_ahead(command.counted_at, uow.now, "/counted_at")
    await check_pool(repository.store, pool)
    await entity(repository.store, "item", item)
    await repository.load_rows(
        LoadSet(pools={pool}, goods={(pool, item)}, lots={command.lot} if command.lot else set())
    )
    counted_at = min(command.counted_at or uow.now, uow.now)
    lot = _lot(repository, command.lot, pool, item)
    on_hand = lot.on_hand if lot else repository.stock(pool, item).on_hand
    expected = on_hand - await repository.store.read_change_since(pool, item, command.lot, counted_at)
    await repository.load_claimants({(pool, item): max(0, expected - command.counted)})
    await _apply_count(repository, command, lot, command.counted - expected)
    uow.emit(
        StockRecounted(
            pool=pool,
            item=item,
            expected=max(0, expected),
            counted=command.counted,
            counted_at=counted_at,
            reason=command.reason,
        )
    )
    await repository.save()
    return expected


async def _apply_count(repository: StockRepository, command: CountStock, lot: Lot | None, difference: int) -> None:
    pool, item, cause = command.pool, command.item, f"count/{command.id}"
    if command.reason or command.note:
        repository.explain(cause, pool, item, command.reason or Reason.OTHER, command.note)
    inferred = await repository.store.read_inferred(pool, item, command.lot)
    await repository.load_reasons(inferred)
    lots = repository.lots_of(pool, item)
    if lot:
        repository.apply(counting.count_lot(lot, difference, cause, inferred, lots))
    else:
        repository.apply(counting.count_item(repository.stock(pool, item), difference, cause, lots, inferred))


async def waste(repository: StockRepository, command: WasteStock) -> None:
    """Record goods that are gone for good: a fact, never refused."""
    goods, cause = command.goods, f"waste/{command.id}"
    pool, item = goods.pool, goods.item
    await check_goods(repository.store, goods)
    wanted = LoadSet(pools={pool}, lots={command.lot} if command.lot else set())
    wanted.outgoing[pool, item] = goods.quantity
    await repository.load_rows(wanted)
    lot, lots = _lot(repository, command.lot, pool, item), repository.lots_of(pool, item)
    repository.explain(cause, pool, item, command.reason, command.note)
    if lot:
        inferred = await repository.store.read_inferred(pool, item, lot.id)
        await repository.load_reasons(inferred)
        repository.apply(take_named(lot, goods.quantity, Place.WASTE, cause, inferred, lots))
    else:
        repository.apply(take(pool, item, goods.quantity, Place.WASTE, cause, lots))
    await repository.save()


async def close_item(repository: StockRepository, pool: str, item: str, *, closed: bool) -> None:
    """Close an item on every channel, or reopen it: no promise claims a closed item. Again: changes nothing."""
    uow = repository.uow
    await check_pool(repository.store, pool)
    await entity(repository.store, "item", item)
    await repository.load_rows(LoadSet(pools={pool}, stock={(pool, item)}))
    if repository.set_closed(pool, item, closed=closed):
        uow.emit(SoldOut(pool=pool, item=item, reopened=not closed))
        await repository.save()


async def confirm_sales(repository: StockRepository, pool: str, item: str) -> tuple[int, int]:
    """Confirm what stalls have sold of an item beyond what is plausible, so that orders lose the goods that are
    missing. Return how much was in doubt, and the shortfall. Again: nothing is in doubt.
    """
    await check_pool(repository.store, pool)
    await entity(repository.store, "item", item)
    await repository.load_rows(LoadSet(pools={pool}, stock={(pool, item)}))
    confirmed = await repository.confirm_sales(pool, item)
    await repository.save()
    return confirmed, repository.stock(pool, item).shortfall


def _lot(repository: StockRepository, id: UUID | None, pool: str, item: str) -> Lot | None:
    if id is None:
        return None
    lot = repository.lots.get(id)
    if lot is None or (lot.pool, lot.item) != (pool, item):
        raise problems.unprocessable("/lot", f"{id} is no lot of {item} in {pool}")
    return lot
