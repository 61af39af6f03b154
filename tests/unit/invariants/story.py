"""Builds facts about a small market, step by step: events, tables, history and views."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from contracts.topics import DISPATCH, INVENTORY, ORDERS
from contracts.values import job_of, reservation_of
from deploy.audit.evidence.tables import TABLES
from deploy.audit.invariants.facts import (
    Fact,
    Facts,
    History,
    HistoryEntry,
    Operation,
    Outcome,
    Tables,
    Topics,
    Views,
)

POOL, EGGS, MILK, TILL = "day@site", "eggs", "milk", "till"
NOON = "2026-05-16T04:00:00+00:00"
PRICE_FEN = 100
"""Of every order and join."""
CLAIMS = ("held", "allocated", "allotted", "unconfirmed")


def id(name: str) -> str:
    """Return the id of a thing by its name in the story."""
    return str(uuid5(NAMESPACE_OID, name))


def reservation(order: str) -> str:
    """Return the reservation of an order or campaign."""
    return str(reservation_of(UUID(id(order)), POOL, 1))


def job(order: str) -> str:
    """Return the delivery job of an order."""
    return str(job_of(UUID(id(order)), UUID(reservation(order))))


def lines(quantity: int, item: str = EGGS) -> list[dict[str, Any]]:
    """Return order lines of one item."""
    return [{"line": 1, "item": item, "quantity": quantity, "amount_fen": PRICE_FEN}]


@dataclass
class Story:
    """Events in order, rows by table, the clients' operations, and what is shown."""

    log: list[Fact] = field(default_factory=list)
    rows: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    entries: list[HistoryEntry] = field(default_factory=list)
    views: Views = field(default_factory=lambda: Views({}, {}, {}, []))
    _seq: Counter[tuple[str, str]] = field(default_factory=Counter)

    def facts(self) -> Facts:
        """Return the whole story as facts."""
        every = {(service, table): self.rows[service, table] for service, names in TABLES.items() for table in names}
        return Facts(Topics(self.log), Tables(every), History(self.entries), self.views)

    def publish(self, topic: str, type: str, subject: str, by: str = "", **data: Any) -> str:
        """Append an event; return its id."""
        self._seq[topic, subject] += 1
        n, seq = len(self.log), self._seq[topic, subject]
        self.log.append(Fact(f"e{n}", type, topic, subject, data, f"{topic}/0@{n}", seq, NOON, by, f"content {n}"))
        return f"e{n}"

    def did(self, kind: str, subject: str, **data: Any) -> HistoryEntry:
        """Append an operation that its client knows to have succeeded."""
        self.entries.append(
            HistoryEntry(Operation(str(len(self.entries)), kind, subject, data), Outcome.OK, {"hash": "h"})
        )
        return self.entries[-1]

    def row(self, service: str, table: str, **columns: Any) -> dict[str, Any]:
        """Insert a row."""
        self.rows[service, table].append(columns)
        return columns

    def find(self, service: str, table: str, **columns: Any) -> dict[str, Any]:
        """Return the first row with these columns."""
        return next(row for row in self.rows[service, table] if row | columns == row)

    def first(self, type: str, subject: str | None = None) -> int:
        """Return the index of the first event of a type."""
        return next(n for n, fact in enumerate(self.log) if fact.type == type and subject in (None, fact.subject))

    def drop(self, type: str, subject: str | None = None) -> Fact:
        """Remove an event; later ones of its subject keep their numbers."""
        return self.log.pop(self.first(type, subject))

    def change(self, type: str, subject: str | None = None, **fields: Any) -> None:
        """Change fields of an event."""
        n = self.first(type, subject)
        self.log[n] = replace(self.log[n], data={**self.log[n].data, **fields})

    def again(self, type: str, **fields: Any) -> None:
        """Publish the same fact as a new event."""
        fact = self.log[self.first(type)]
        self.publish(fact.topic, fact.type, fact.subject, fact.cause, **{**fact.data, **fields})

    def move(self, source: str, target: str, quantity: int, cause: str, item: str = EGGS, **more: Any) -> None:
        """Move goods from place to place: a row and an event; or from claim to claim: a row."""
        physical = source not in (*CLAIMS, "free")
        moved = {"pool": POOL, "item": item, "quantity": quantity, "cause": cause, "inferred": False, "reason": None}
        moved |= {"lot": id(f"lot {item}") if physical else None} | more
        row = self.row(
            INVENTORY, "movement", id=f"m{len(self.rows[INVENTORY, 'movement'])}", source=source, target=target
        )
        row |= moved
        if physical:
            places = {"movement": row["id"], "from_place": source, "to_place": target}
            self.publish("inventory.stock.v1", "stock-moved", f"{POOL}/{item}", f"cause of {cause}", **places, **moved)

    def receive(self, quantity: int, item: str) -> None:
        """Weigh in a lot and release it."""
        lot = id(f"lot {item}")
        for type in ("lot-received", "lot-released"):
            self.publish("inventory.lot.v1", type, lot, lot=lot, pool=POOL, item=item, quantity=quantity)
        self.move("intake", "on_hand", quantity, f"lot/{lot}", item)
        self.row(INVENTORY, "lot", id=lot, pool=POOL, item=item, received=quantity, released=quantity, rejected=0)

    def place(self, name: str, quantity: int, fulfilment: str = "pickup", item: str = EGGS, **more: Any) -> None:
        """Place a prepaid order."""
        order, data = id(name), {"payment": "prepaid", "fulfilment": fulfilment, "total_fen": PRICE_FEN}
        self.did("place", order, lines=[[item, quantity]], payment="prepaid", fulfilment=fulfilment)
        row = self.row(ORDERS, "orders", order_id=order, pool=POOL, version=0, attempt=1, wave=None, join_id=None)
        row |= data | {"paid_fen": PRICE_FEN, "refunded_fen": 0, "state": None, "reservation": reservation(name)}
        row |= {"job": job(name)} | more
        self.row(ORDERS, "payment", order_id=order, payment_id="prepaid", amount_fen=PRICE_FEN)
        self.rows[ORDERS, "order_line"] += [{"order_id": order, **line} for line in lines(quantity, item)]
        self.order(name, "placed", pool=POOL, lines=lines(quantity, item), **data)

    def order(self, name: str, state: str, **data: Any) -> None:
        """Take an order to its next state."""
        order = id(name)
        row = self.find(ORDERS, "orders", order_id=order)
        before, row["version"], row["state"] = row["state"], row["version"] + 1, state
        self.row(ORDERS, "order_history", order_id=order, n=row["version"], from_state=before, to_state=state)
        self.publish("orders.order.v1", f"order-{state}", order, order=order, **data)

    def receipt(self, transaction: str, pays: str | None) -> None:
        """Append a receipt of a payment provider."""
        self.row(ORDERS, "receipt", provider="bank", transaction_id=transaction, amount_fen=PRICE_FEN, pays=pays)

    def refund(self, name: str) -> None:
        """Refund the payment of an order."""
        order, back = id(name), {"payment": "prepaid", "amount_fen": PRICE_FEN}
        self.find(ORDERS, "orders", order_id=order)["refunded_fen"] = PRICE_FEN
        self.row(ORDERS, "refund", order_id=order, payment_id="prepaid", amount_fen=PRICE_FEN)
        self.publish("orders.order.v1", "order-refunded", order, order=order, **back)

    def command(self, name: str, type: str, cause: str = "", **data: Any) -> str:
        """Send a command about a reservation; return its id."""
        about = {"reservation": reservation(name), "order": id(name), "pool": POOL}
        return self.publish("inventory.command.v1", type, reservation(name), cause, **about, **data)

    def answer(self, name: str, type: str, cause: str, **data: Any) -> None:
        """Answer a command about a reservation."""
        about = {"reservation": reservation(name), "order": id(name), "pool": POOL}
        self.publish("inventory.stock.v1", type, reservation(name), cause, **about, **data)

    def reserve(self, name: str, quantity: int, item: str = EGGS, *, firm: bool = True, **more: Any) -> None:
        """Reserve stock for an order or campaign."""
        command = self.command(name, "reserve-stock", firm=firm, lines=lines(quantity, item), **more)
        self.answer(name, "stock-reserved", command, firm=firm, lines=lines(quantity, item))
        self.row(
            INVENTORY,
            "reservation",
            id=reservation(name),
            pool=POOL,
            order_id=id(name),
            state="firm" if firm else "held",
        )
        self.row(INVENTORY, "reservation_line", reservation=reservation(name), item=item, quantity=quantity)
        if not more:
            bucket = "allocated" if firm else "held"
            self.move("free", bucket, quantity, f"reservation/{reservation(name)}", item)

    def release(self, name: str, quantity: int, item: str = EGGS, cause: str = "") -> None:
        """Release a reservation."""
        self.answer(
            name, "reservation-released", self.command(name, "release-stock", cause), lines=lines(quantity, item)
        )
        self.find(INVENTORY, "reservation", id=reservation(name))["state"] = "released"
        if quantity:
            self.move("allocated", "free", quantity, f"reservation/{reservation(name)}", item)

    def hand_out(self, name: str, quantity: int, place: str) -> None:
        """Move the goods of a reservation out."""
        cause = f"reservation/{reservation(name)}"
        self.find(INVENTORY, "reservation", id=reservation(name))["state"] = (
            "loaded" if place == "courier" else "collected"
        )
        self.move("allocated", "free", quantity, cause)
        self.move("on_hand", place, quantity, cause)

    def schedule(self, name: str, quantity: int) -> None:
        """Schedule the delivery of an order."""
        about = {"order": id(name), "reservation": reservation(name), "pool": POOL, "lines": lines(quantity)}
        self.publish("dispatch.command.v1", "schedule-delivery", id(name), **about)
        self.row(DISPATCH, "job", id=job(name), order_id=id(name), reservation=reservation(name), state="planned")
        self.find(DISPATCH, "job", id=job(name)).update(lines=json.dumps(lines(quantity)), wave="w")
        self.job(name, "planned", quantity)
        self.order(name, "scheduled")
        self.find(ORDERS, "orders", order_id=id(name))["wave"] = "w"

    def job(self, name: str, state: str, quantity: int, cause: str = "") -> str:
        """Take a job to its next state; return the event's id."""
        self.find(DISPATCH, "job", id=job(name))["state"] = state
        about = {"job": job(name), "order": id(name), "reservation": reservation(name), "pool": POOL}
        return self.publish("dispatch.job.v1", f"job-{state}", job(name), cause, lines=lines(quantity), **about)
