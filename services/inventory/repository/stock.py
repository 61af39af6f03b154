"""Repository of stock pools: the rows that one transaction touches, and the only way in which stock changes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from contracts.events.catalog import CatalogEvent
from contracts.events.inventory import ClaimsExceeded, Place, Reason, StockMoved
from services.inventory.domain.allotment import Allotment, Change, confirm
from services.inventory.domain.lot import Lot
from services.inventory.domain.reservation import Reservation
from services.inventory.domain.sale import Sale
from services.inventory.domain.shortfall import Claimant, cover
from services.inventory.domain.stock import Move, Stock
from services.inventory.repository.load_set import LAPSE, Key, LoadSet, lapse_of
from services.inventory.repository.store import CatalogEntry, Explanation, Movement, StockChanges, StockStore
from services.kit.transaction.identity_map import IdentityMap
from services.kit.transaction.message import Message
from services.kit.transaction.unit_of_work import CAUSED, UnitOfWork

_HANDED_OUT = frozenset({Place.COURIER, Place.BUYER, Place.SOLD})


class StockRepository:
    """Stock, lots, reservations, allotments and sales of the pools of one transaction, under the locks of the pools.

    `load` reads everything that a batch needs, so that handlers decide without a round trip; `save` writes each table
    once. Stock and lots change by `apply` alone. Movements are recorded as made by `actor`, by default the consumer.
    """

    def __init__(self, uow: UnitOfWork, actor: str | None = None) -> None:
        self.uow = uow
        self.store: StockStore = uow.store
        self.actor = actor or uow.consumer
        self.stocks: IdentityMap[Key, Stock] = IdentityMap(lambda row: (row.pool, row.item))
        self.lots: IdentityMap[UUID, Lot] = IdentityMap(lambda row: row.id)
        self.reservations: IdentityMap[UUID, Reservation] = IdentityMap(lambda row: row.id)
        self.allotments: IdentityMap[tuple[str, str, str], Allotment] = IdentityMap(
            lambda row: (row.terminal, row.pool, row.item)
        )
        self.sales: IdentityMap[UUID, Sale] = IdentityMap(lambda row: row.id)
        self.catalog: IdentityMap[tuple[str, str], CatalogEntry] = IdentityMap(lambda row: (row.kind, row.id))
        self._history: dict[str, list[Move]] = defaultdict(list)
        self._claimants: dict[Key, list[Claimant]] = {}
        self._movements: list[Movement] = []
        self._ordinals: Counter[UUID] = Counter()
        self._explanations: dict[str, Explanation] = {}
        self._reasons: dict[str, Reason] = {}
        self._units: dict[str, str] = {}

    async def load(self, messages: Sequence[Message[Any]]) -> None:
        """Locks the pools of the messages and reads all rows that their handlers look up."""
        await self.load_rows(LoadSet.of(messages))

    async def load_rows(self, wanted: LoadSet) -> None:
        """Locks the pools, sorted, then reads the rows of the load set, in one statement a table."""
        if not wanted.pools:
            return
        await self.store.lock_pools(wanted.pools)
        if wanted.reservations:
            self.reservations.load(await self.store.read_reservations(wanted.reservations))
        if wanted.terminals:
            self.allotments.load(await self.store.read_allotments(wanted.terminals))
        if wanted.sales:
            self.sales.load(await self.store.read_sales(wanted.sales))
            self._units = await self.store.read_units({item for _, item in wanted.outgoing})
        self._extend(wanted)
        if wanted.causes:
            self._history.update(await self.store.read_history(wanted.causes))
        moves = [move for history in self._history.values() for move in history]
        wanted.goods |= wanted.outgoing.keys() | {(move.pool, move.item) for move in moves}
        wanted.lots |= {move.lot for move in moves if move.lot}
        self.stocks.load(await self.store.read_stock(wanted.stock | wanted.goods))
        if wanted.goods or wanted.lots:
            self.lots.load(await self.store.read_lots(wanted.goods, wanted.lots))
        await self.load_claimants(wanted.outgoing)

    def _extend(self, wanted: LoadSet) -> None:
        """Adds the keys that follow from the rows read so far."""
        for reservation in self.reservations.values():
            for line in reservation.lines:
                wanted.stock.add((reservation.pool, line.item))
                if reservation.id in wanted.leaving:
                    wanted.outgoing[reservation.pool, line.item] += line.quantity
        for allotment in self.allotments.values():
            wanted.goods.add((allotment.pool, allotment.item))
            if allotment.lost:
                wanted.causes.add(allotment.loss_cause)

    async def load_claimants(self, outgoing: Mapping[Key, int]) -> None:
        """Reads the newest claims on items of which more may leave than is available, to name them in a shortfall.

        Twice the quantity, because the goods that leave may themselves be among the newest claims.
        """
        risky = {k: self.stock(*k).shortfall + 2 * q for k, q in outgoing.items() if q > self.stock(*k).available}
        if risky:
            self._claimants = await self.store.read_claimants(risky)

    def stock(self, pool: str, item: str) -> Stock:
        """Return the stock of an item; all zero where there never was any."""
        return self.stocks.get((pool, item)) or Stock(pool, item)

    def lots_of(self, pool: str, item: str) -> list[Lot]:
        """Return the item's lots that have goods, and those that this transaction has read or changed."""
        return [lot for lot in self.lots.values() if (lot.pool, lot.item) == (pool, item)]

    def allotment(self, terminal: str, pool: str, item: str) -> Allotment:
        """Return the terminal's allotment of the item; all zero where nothing was lent."""
        return self.allotments.get((terminal, pool, item)) or Allotment(terminal, pool, item)

    def history(self, cause: str) -> list[Move]:
        """Return the movements of a cause, oldest first, those of this transaction included."""
        return list(self._history[cause])

    def set_closed(self, pool: str, item: str, *, closed: bool) -> bool:
        """Close the item on every channel, or reopen it; return True where that changes it."""
        before = self.stock(pool, item)
        if before.closed is not closed:
            self.stocks.put(replace(before, closed=closed))
        return before.closed is not closed

    def apply_change(self, change: Change) -> Allotment:
        """Apply a change of an allotment and set the deadline of its lease; return the allotment after it."""
        after, moves = change
        before = self.allotment(after.terminal, after.pool, after.item)
        if after.lease_until and after.lease_until != before.lease_until:
            self.uow.set_deadline(LAPSE, lapse_of(after.pool, after.terminal, after.item), after.lease_until)
        self.allotments.put(after)
        self._doubt(after.pool, after.item, after.doubted - before.doubted)
        self.apply(moves)
        return after

    async def confirm_sales(self, pool: str, item: str) -> int:
        """Confirm everything that stalls have overdrawn of an item, and return how much was in doubt. Where claims
        exceed the stock, `claims-exceeded` now names the reservations that cover all of it.
        """
        self.allotments.load(await self.store.read_doubted(pool, item))
        confirmed = sum(allotment.doubted for allotment in self.allotments.values())
        for allotment in tuple(self.allotments.values()):
            self.allotments.put(confirm(allotment))
        waited = self.stock(pool, item).waiting
        self._doubt(pool, item, -confirmed)
        if waited:
            await self.load_claimants({(pool, item): 1})
            self._publish_shortfall(pool, item, self.stock(pool, item).shortfall)
        return confirmed

    def unit_of(self, item: str) -> str | None:
        """Return the unit of an item of a sale; None while the item has not arrived here."""
        return self._units.get(item)

    def _doubt(self, pool: str, item: str, change: int) -> None:
        if change:
            before = self.stock(pool, item)
            self.stocks.put(replace(before, doubted=before.doubted + change))

    def explain(self, cause: str, pool: str, item: str, code: Reason, note: str) -> None:
        """Record the reason of a cause. Its movements after this call are published with the code."""
        self._explanations[cause] = Explanation(cause, pool, item, code, note, self.actor, self.uow.now)
        self._reasons[cause] = code

    async def load_reasons(self, moves: Iterable[Move]) -> None:
        """Read the reasons of movements that may be taken back, so that the opposite ones are published with them."""
        if causes := {move.cause for move in moves}:
            self._reasons = await self.store.read_reasons(causes) | self._reasons

    def put_catalog(self, event: CatalogEvent) -> None:
        """Replace a catalogue entity by its published content."""
        kind, _, id = event.key.partition("/")
        self.catalog.put(CatalogEntry(kind, id, event.model_dump(mode="json")))

    def apply(self, moves: Iterable[Move]) -> None:
        """Apply movements to stock and lots, record each, and publish the physical ones.

        Where they raise the shortfall of an item, `claims-exceeded` names the reservations that would cover it, except
        for the part that waits for staff.
        """
        moves = tuple(moves)
        before = {(m.pool, m.item): self.stock(m.pool, m.item).shortfall for m in moves}
        for move in moves:
            self._move(move)
        for (pool, item), shortfall in before.items():
            after = self.stock(pool, item).shortfall
            if after > shortfall:
                self._publish_shortfall(pool, item, after)

    def _move(self, move: Move) -> None:
        self.stocks.put(self.stock(move.pool, move.item).moved(move))
        lot = self.lots.get(move.lot) if move.lot else None
        if lot:
            self.lots.put(lot.moved(move))
        movement = Movement(self._next_id(), move, self.actor, self.uow.now)
        self._movements.append(movement)
        self._history[move.cause].append(move)
        if isinstance(move.source, Place) and isinstance(move.target, Place):
            handed_out = move.source is Place.ON_HAND and move.target in _HANDED_OUT
            moved = StockMoved(
                pool=move.pool,
                item=move.item,
                movement=movement.id,
                lot=move.lot,
                inferred=move.inferred,
                from_place=move.source,
                to_place=move.target,
                quantity=move.quantity,
                cause=move.cause,
                reason=self._reasons.get(move.cause),
                expired=handed_out and lot is not None and lot.expired(self.uow.now),
            )
            self.uow.emit(moved, part=str(movement.id))

    def _next_id(self) -> UUID:
        """Derive a movement's id from the message and its number among the message's movements: a replay of the
        message makes the same ids.
        """
        cause = self.uow.cause
        if cause is None:
            return self.uow.ports.new_id()
        self._ordinals[cause.id] += 1
        return CAUSED.id(f"{self.uow.consumer}\n{cause.id}\nmovement\n{self._ordinals[cause.id]}")

    def _publish_shortfall(self, pool: str, item: str, shortfall: int) -> None:
        waiting = self.stock(pool, item).waiting
        named = cover(shortfall - waiting, filter(self._still_claims, self._claimants.get((pool, item), ())))
        self.uow.emit(
            ClaimsExceeded(
                pool=pool,
                item=item,
                shortfall=shortfall,
                waiting=waiting,
                reservations=list(dict.fromkeys(claimant.reservation for claimant in named)),
                orders=list(dict.fromkeys(claimant.order for claimant in named)),
            )
        )

    def _still_claims(self, claimant: Claimant) -> bool:
        """Return False where this transaction has ended the claim."""
        now = self.reservations.get(claimant.reservation)
        return now is None or now.active

    async def save(self) -> None:
        """Writes every change, one statement a table."""
        await self.store.save(
            StockChanges(
                stock=self.stocks.changed,
                lots=self.lots.changed,
                reservations=self.reservations.changed,
                allotments=self.allotments.changed,
                sales=self.sales.changed,
                movements=self._movements,
                explanations=self._explanations.values(),
                catalog=self.catalog.changed,
            )
        )
