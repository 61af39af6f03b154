"""Invariants of stock: an independent fold of the movements is compared with inventory's tables after every commit."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any
from uuid import UUID

from services.inventory.domain.reservation import ReservationState
from tests.simulation.facts import Fact
from tests.simulation.invariant import check_invariant
from tests.simulation.memory import Database, Transaction

CLAIMS = ("held", "allocated", "allotted", "unconfirmed")
PROMISES = ("reservation/", "allotment/", "move/")
Key = tuple[str, str]


class StockChecks:
    """Keeps its own count of every item of every pool, lot by lot."""

    def __init__(self) -> None:
        self.counts: dict[Key, Counter[str]] = defaultdict(Counter)
        self.lots: Counter[UUID | None] = Counter()
        self.out: Counter[tuple[str, str, str]] = Counter()
        self.shortfall: Counter[Key] = Counter()

    def committed(self, db: Database, transaction: Transaction, facts: list[Fact]) -> None:
        """Check a transaction that inventory committed."""
        entries: list[Any] = list(transaction.writes.get("movement_n", {}).values())
        for entry in entries:
            self._move(entry.move)
        touched = {(e.move.pool, e.move.item) for e in entries} | set(transaction.writes.get("stock", {}))
        if touched:
            self._rows(db, touched)  # type: ignore[arg-type]
        if touched or "reservation" in transaction.writes or "allotment" in transaction.writes:
            self._claims(db)
        for key in touched:
            self._shortfall(db, key, facts)  # type: ignore[arg-type]

    def _move(self, move: Any) -> None:
        key = (move.pool, move.item)
        count = self.counts[key]
        before = _short(count)
        for place, change in ((move.source, -move.quantity), (move.target, move.quantity)):
            count[str(place)] += change
            if place == "on_hand" and move.lot:
                self.lots[move.lot] += change
            self.out[move.cause, move.item, str(place)] += change
        promise = move.source == "free" and move.target in CLAIMS and move.cause.startswith(PROMISES)
        if promise and move.target != "unconfirmed":
            check_invariant(_short(count) <= before, "a promise never exceeds the stock", f"{move}: {dict(count)}")

    def _rows(self, db: Database, touched: set[Key]) -> None:
        for key in touched:
            row, count = db.tables["stock"].get(key), self.counts[key]
            if row is None:
                continue
            from_rows = {name: getattr(row, name) for name in ("on_hand", *CLAIMS)}
            folded = {name: count[name] for name in from_rows}
            check_invariant(
                from_rows == folded, "stock is the fold of its movements", f"{key}: row {from_rows}, movements {folded}"
            )
        for id, lot in db.tables["lot"].items():
            check_invariant(
                lot.on_hand == self.lots[id], "a lot is the fold of its movements", f"{lot}: {self.lots[id]}"
            )  # type: ignore[index]

    def _claims(self, db: Database) -> None:
        claimed: dict[Key, Counter[str]] = defaultdict(Counter)
        for reservation, _ in db.tables["reservation"].values():
            bucket = {ReservationState.HELD: "held", ReservationState.FIRM: "allocated"}.get(reservation.state)
            for line in reservation.lines if bucket else ():
                claimed[reservation.pool, line.item][bucket or ""] += line.quantity
        for lent in db.tables["allotment"].values():
            claimed[lent.pool, lent.item].update({"allotted": lent.allotted, "unconfirmed": lent.unconfirmed})
        for key, count in self.counts.items():
            folded = {name: claimed[key][name] for name in CLAIMS}
            from_rows = {name: count[name] for name in CLAIMS}
            check_invariant(
                folded == from_rows,
                "claims match reservations and allotments",
                f"{key}: {folded}, movements {from_rows}",
            )

    def _shortfall(self, db: Database, key: Key, facts: list[Fact]) -> None:
        short = _short(self.counts[key])
        published = [f for f in facts if f.kind == "claims-exceeded" and f.subject == "/".join(key)]
        if short > self.shortfall[key]:
            check_invariant(
                published,
                "a shortfall names its reservations",
                f"{key}: {self.shortfall[key]} -> {short}, nothing was published",
            )
            named = set(published[-1].data["reservations"])
            folded = [(r, sum(x.quantity for x in r.lines if x.item == key[1])) for r, _ in self._of(db, key[0])]
            covered = sum(quantity for r, quantity in folded if str(r.id) in named)
            rest = [str(r.id) for r, quantity in folded if r.active and quantity and str(r.id) not in named]
            check_invariant(
                covered >= short or not rest,
                "a shortfall names its reservations",
                f"{key}: short of {short}, named {covered}, not named {rest}",
            )
        self.shortfall[key] = short

    @staticmethod
    def _of(db: Database, pool: str) -> list[tuple[Any, int]]:
        return [found for found in db.tables["reservation"].values() if found[0].pool == pool]

    def at_end(self, db: Database, sales: dict[UUID, Any], voided: set[UUID]) -> None:
        """Check that all goods that left did so once, and for a reason."""
        for reservation, _ in db.tables["reservation"].values():
            left = {ReservationState.LOADED: "courier", ReservationState.COLLECTED: "buyer"}.get(reservation.state)
            for item in {line.item for line in reservation.lines}:
                wanted = sum(line.quantity for line in reservation.lines if line.item == item)
                for place in ("courier", "buyer"):
                    gone = self.out[f"reservation/{reservation.id}", item, place]
                    due = wanted if place == left else 0
                    check_invariant(
                        gone == due, "goods leave once", f"{reservation}: {gone} of {item} at {place}, not {due}"
                    )
        for id, sale in sales.items():
            for item in {line.item for line in sale.body.lines}:
                due = 0 if id in voided else sum(line.quantity for line in sale.body.lines if line.item == item)
                gone = self.out[f"sale/{id}", item, "sold"]
                check_invariant(gone == due, "a sale counts once", f"sale {id}: {gone} of {item}, not {due}")
        for key, count in self.counts.items():
            net = sum(quantity for place, quantity in count.items() if place not in (*CLAIMS, "free"))
            check_invariant(net == 0, "in = out + on hand", f"{key}: {dict(count)}")


def _short(count: Counter[str]) -> int:
    return max(0, sum(count[name] for name in CLAIMS) - count["on_hand"])
