"""The book: every row of the pools that one transaction touches, and the one door through which stock changes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from contracts.events.inventory import ClaimsExceeded, Place, Reason, StockMoved
from services.inventory.domain.allotment import Allotment, Change
from services.inventory.domain.claims import Claimant, cover
from services.inventory.domain.lot import Lot
from services.inventory.domain.reservation import Reservation
from services.inventory.domain.sale import Sale
from services.inventory.domain.stock import Move, Stock
from services.inventory.repository import reservations as claims
from services.inventory.repository import rows
from services.inventory.repository.load_set import LAPSE, Key, LoadSet, lapse_of, load_set_of
from services.kit.ids import new_id
from services.kit.transaction.identity_map import IdentityMap
from services.kit.transaction.message import Message
from services.kit.transaction.unit_of_work import CAUSED, UnitOfWork

_HANDED_OUT = frozenset({Place.COURIER, Place.BUYER, Place.SOLD})


class StockRepository:
    """Loaded once for a batch or request under the locks of its pools; handlers then decide without a round trip.

    Callers load by what `needs` says; `save` writes each table once. The quantities of stock and lots change by
    `apply` alone. `actor` is who is written down as having moved things.
    """

    def __init__(self, uow: UnitOfWork, actor: str | None = None) -> None:
        self.uow = uow
        self.actor = actor or uow.consumer
        self.stocks: IdentityMap[Key, Stock] = IdentityMap(lambda row: (row.pool, row.item))
        self.lots: IdentityMap[UUID, Lot] = IdentityMap(lambda row: row.id)
        self.reservations: IdentityMap[UUID, Reservation] = IdentityMap(lambda row: row.id)
        self.allotments: IdentityMap[tuple[str, str, str], Allotment] = IdentityMap(
            lambda row: (row.terminal, row.pool, row.item)
        )
        self.sales: IdentityMap[UUID, Sale] = IdentityMap(lambda row: row.id)
        self.catalog: dict[tuple[str, str], dict[str, Any]] = {}
        self._history: dict[str, list[Move]] = defaultdict(list)
        self._claimants: dict[Key, list[Claimant]] = {}
        self._entries: list[claims.Entry] = []
        self._ordinals: Counter[UUID] = Counter()
        self._reasons: dict[str, rows.Explained] = {}

    async def load(self, messages: Sequence[Message[Any]]) -> None:
        """Locks the pools of the messages and reads all that their handlers look up."""
        await self.open(load_set_of(messages))

    async def open(self, needs: LoadSet) -> None:
        """Locks the pools, sorted, then reads what is needed of them, one statement a table."""
        conn = self.uow.conn
        if not needs.pools:
            return
        await rows.lock_pools(conn, needs.pools)
        if needs.reservations:
            self.reservations.load(await claims.reservations(conn, needs.reservations))
        if needs.terminals:
            self.allotments.load(await rows.allotments(conn, needs.terminals))
        if needs.sales:
            self.sales.load(await rows.sales(conn, needs.sales))
        self._widen(needs)
        if needs.causes:
            self._history.update(await claims.history(conn, needs.causes))
        moves = [move for history in self._history.values() for move in history]
        needs.goods |= needs.out.keys() | {(move.pool, move.item) for move in moves}
        needs.lots |= {move.lot for move in moves if move.lot}
        self.stocks.load(await rows.stock(conn, needs.stock | needs.goods))
        if needs.goods or needs.lots:
            self.lots.load(await rows.lots(conn, needs.goods, needs.lots))
        await self.foresee(needs.out)

    def _widen(self, needs: LoadSet) -> None:
        """What only the rows that were read so far can tell."""
        for reservation in self.reservations.values():
            for line in reservation.lines:
                needs.stock.add((reservation.pool, line.item))
                if reservation.id in needs.going:
                    needs.out[reservation.pool, line.item] += line.quantity
        for allotment in self.allotments.values():
            needs.goods.add((allotment.pool, allotment.item))
            if allotment.lost:
                needs.causes.add(allotment.loss_cause)

    async def foresee(self, out: Mapping[Key, int]) -> None:
        """Reads whom a shortfall would fall on, where more may leave than is available. What leaves may itself be
        among the newest claims, hence twice.
        """
        risky = {k: self.stock(*k).shortfall + 2 * q for k, q in out.items() if q > self.stock(*k).available}
        if risky:
            self._claimants = await claims.claimants(self.uow.conn, risky)

    def stock(self, pool: str, item: str) -> Stock:
        """The stock of an item; all zero where there never was any."""
        return self.stocks.get((pool, item)) or Stock(pool, item)

    def lots_of(self, pool: str, item: str) -> list[Lot]:
        """The item's lots with goods, and those that this transaction has to do with."""
        return [lot for lot in self.lots.values() if (lot.pool, lot.item) == (pool, item)]

    def allotment(self, terminal: str, pool: str, item: str) -> Allotment:
        """What the terminal was lent of the item; all zero where nothing was."""
        return self.allotments.get((terminal, pool, item)) or Allotment(terminal, pool, item)

    def history(self, cause: str) -> list[Move]:
        """The movements of a cause, oldest first, those of this transaction too."""
        return list(self._history[cause])

    def close(self, pool: str, item: str, *, closed: bool) -> bool:
        """Sold out by decree, or no longer so; whether that is a change."""
        was = self.stock(pool, item)
        if was.closed is not closed:
            self.stocks.put(replace(was, closed=closed))
        return was.closed is not closed

    def put_allotment(self, change: Change) -> Allotment:
        """Carries out a change of an allotment and sets its lease's deadline; the allotment as it stands then."""
        after, moves = change
        before = self.allotment(after.terminal, after.pool, after.item)
        if after.lease_until and after.lease_until != before.lease_until:
            self.uow.set_deadline(LAPSE, lapse_of(after.pool, after.terminal, after.item), after.lease_until)
        self.allotments.put(after)
        self.apply(moves)
        return after

    def explain(self, cause: str, pool: str, item: str, code: Reason, note: str) -> None:
        """Keeps why what has this cause happened. Its movements from here on are published with the code."""
        self._reasons[cause] = rows.Explained(cause, pool, item, code, note, self.actor, self.uow.now)

    def apply(self, moves: Iterable[Move]) -> None:
        """Carries out movements: stock and lots change by them, each is recorded, physical ones are published.

        Where they leave more claimed than there is, and more than before, `claims-exceeded` says whom it falls on.
        """
        moves = tuple(moves)
        before = {(m.pool, m.item): self.stock(m.pool, m.item).shortfall for m in moves}
        for move in moves:
            self._move(move)
        for (pool, item), shortfall in before.items():
            after = self.stock(pool, item).shortfall
            if after > shortfall:
                self._exceeded(pool, item, after)

    def _move(self, move: Move) -> None:
        self.stocks.put(self.stock(move.pool, move.item).moved(move))
        lot = self.lots.get(move.lot) if move.lot else None
        if lot:
            self.lots.put(lot.moved(move))
        entry = claims.Entry(self._next_id(), move, self.actor, self.uow.now)
        self._entries.append(entry)
        self._history[move.cause].append(move)
        if isinstance(move.source, Place) and isinstance(move.target, Place):
            reason = self._reasons.get(move.cause)
            going = move.source is Place.ON_HAND and move.target in _HANDED_OUT
            moved = StockMoved(
                pool=move.pool,
                item=move.item,
                movement=entry.id,
                lot=move.lot,
                inferred=move.inferred,
                from_place=move.source,
                to_place=move.target,
                quantity=move.quantity,
                cause=move.cause,
                reason=reason.code if reason else None,
                expired=going and lot is not None and lot.expired(self.uow.now),
            )
            self.uow.emit(moved, part=str(entry.id))

    def _next_id(self) -> UUID:
        """A movement's id: it follows from the cause and the count of its movements, so a replay can't multiply it."""
        cause = self.uow.cause
        if cause is None:
            return new_id()
        self._ordinals[cause.id] += 1
        return CAUSED.id(f"{self.uow.consumer}\n{cause.id}\nmovement\n{self._ordinals[cause.id]}")

    def _exceeded(self, pool: str, item: str, shortfall: int) -> None:
        named = cover(shortfall, filter(self._stands, self._claimants.get((pool, item), ())))
        self.uow.emit(
            ClaimsExceeded(
                pool=pool,
                item=item,
                shortfall=shortfall,
                reservations=list(dict.fromkeys(claimant.reservation for claimant in named)),
                orders=list(dict.fromkeys(claimant.order for claimant in named)),
            )
        )

    def _stands(self, claimant: Claimant) -> bool:
        """Whether this transaction has not ended the claim."""
        now = self.reservations.get(claimant.reservation)
        return now is None or now.active

    async def save(self) -> None:
        """Writes what was changed, one statement a table."""
        conn = self.uow.conn
        if stocks := self.stocks.changed:
            await rows.save_stock(conn, stocks)
        if lots := self.lots.changed:
            await rows.save_lots(conn, lots, self.uow.now)
        if reservations := self.reservations.changed:
            await claims.save_reservations(conn, reservations)
        if allotments := self.allotments.changed:
            await rows.save_allotments(conn, allotments)
        if sales := self.sales.changed:
            await rows.save_sales(conn, sales)
        if self._entries:
            await claims.save_entries(conn, self._entries)
        if self._reasons:
            await rows.save_reasons(conn, list(self._reasons.values()))
        if self.catalog:
            await rows.save_catalog(conn, [(*key, body) for key, body in self.catalog.items()])
