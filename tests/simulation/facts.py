"""Facts of a simulated day in the shape of the invariants: events from outbox rows, and rows as the audit reads them.

All access to the tables in memory is here. Ids are text, as in SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

import orjson

from contracts.topics import DISPATCH, INVENTORY, ORDERS
from deploy.audit.invariants.facts import Fact, History, HistoryEntry, Operation, Outcome, Row, Tables
from deploy.scenarios.actors.requests import amount_of
from services.inventory.domain.reservation import Reservation
from services.inventory.repository.rows import Movement
from services.orders.api.schemas.order_views import order_view
from services.orders.domain.order.order import Order
from services.orders.repository import rows
from tests.simulation.memory import GONE, Database, Transaction

_STOCK = ("pool", "item", "on_hand", "held", "allocated", "allotted", "unconfirmed", "shortfall", "available", "closed")
_LOT = ("id", "pool", "item", "received", "released", "rejected", "on_hand")
_ALLOTMENT = ("terminal", "pool", "item", "granted", "returned", "allotted", "unconfirmed", "version")
_MOVE = ("pool", "item", "source", "target", "quantity", "cause", "lot", "inferred")


def facts_of(transaction: Transaction) -> Iterator[Fact]:
    """Yield the events and commands that a transaction committed, in order."""
    for row in transaction.writes.get("outbox", {}).values():
        if row is not GONE:
            kind = row.headers["ce_type"].removeprefix("market.").rpartition(".")[0].partition(".")[2]
            yield Fact(
                id=str(row.event_id),
                type=kind or row.headers["ce_type"],
                topic=row.topic,
                subject=row.subject,
                data=orjson.loads(row.payload) if row.payload else {},
                where=f"{row.topic}@{row.id}",
                seq=int(row.headers["ce_seq"]),
                time=row.headers["ce_time"],
                cause=row.headers.get("ce_causationid", ""),
                readable=bool(kind),
            )


def history_of(accepted: Mapping[UUID, Mapping[str, Any]], joins: Iterable[UUID], db: Database) -> History:
    """Return the orders and joins that clients know to be accepted, the orders as they were answered; other orders in
    the table have no known outcome.
    """
    found = History()
    for id, (order, _) in db.tables["orders"].items():
        outcome = Outcome.OK if id in accepted else Outcome.UNKNOWN
        shown = accepted.get(id) or order_view(order, trusted=True)
        lines = [[line["item"], amount_of(line)] for line in shown["lines"]]
        data = {"lines": lines, "payment": shown["payment"], "fulfilment": shown["fulfilment"]}
        found.append(HistoryEntry(Operation(str(id), "place", str(id), data), outcome, {"hash": ""}))
    lost = accepted.keys() - db.tables["orders"].keys()
    found += [HistoryEntry(Operation(str(id), "place", str(id)), Outcome.OK, {"hash": ""}) for id in lost]
    found += [HistoryEntry(Operation(str(id), "join", str(id)), Outcome.OK) for id in joins]
    return found


def tables_of(dbs: Mapping[str, Database]) -> Tables:
    """Return the rows of all services that the invariants read."""
    return Tables(_orders_tables(dbs[ORDERS]) | _inventory_tables(dbs[INVENTORY]) | _dispatch_tables(dbs[DISPATCH]))


def committed_orders(transaction: Transaction, inventory: Database) -> Tables:
    """Return the orders that a transaction changed, with their reservations."""
    changed: list[Order] = [row[0] for row in transaction.writes.get("orders", {}).values()]
    known = (inventory.tables["reservation"].get(order.reservation) for order in changed)
    return Tables({
        (ORDERS, "orders"): [_order(order) for order in changed],
        (INVENTORY, "reservation"): [_reservation(row[0]) for row in known if row],
    })  # fmt: skip


Goods = tuple[str, str]
"""An item of a pool."""


class CommittedStock:
    """The rows of the goods that a transaction of inventory changed.

    Its movements are summed up by place, claim and lot, so that a check after each commit costs the same all day.
    """

    def __init__(self) -> None:
        self._moved: dict[Goods, dict[tuple[Any, ...], dict[str, Any]]] = {}

    def tables(self, transaction: Transaction) -> Tables:
        """Add the movements of a transaction; return the tables of its goods."""
        writes, db = transaction.writes, transaction.db
        goods: set[Goods] = set(writes.get("stock", ()))  # type: ignore[arg-type]
        goods |= {(row.pool, line.item) for row, _ in writes.get("reservation", {}).values() for line in row.lines}
        goods |= {(row.pool, row.item) for name in ("allotment", "lot") for row in writes.get(name, {}).values()}
        for entry in writes.get("movement_n", {}).values():
            move = entry.move
            goods.add((move.pool, move.item))
            key = (move.source, move.target, move.lot)
            of_goods = self._moved.setdefault((move.pool, move.item), {})
            if key in of_goods:
                of_goods[key]["quantity"] += move.quantity
            else:
                of_goods[key] = _movement(entry)
        moved = [row for one in goods for row in self._moved.get(one, {}).values()]
        return Tables(_stock_tables(db, goods) | {(INVENTORY, "movement"): moved}) if goods else Tables()


def dead_letters(transaction: Transaction) -> Tables:
    """Return the dead letters that a transaction stored."""
    stored = [row for row in transaction.writes.get("parked", {}).values() if row is not GONE]
    found = [{"consumer": consumer, "scope": scope, "error": one.fault} for consumer, scope, one in stored]
    return Tables({(transaction.db.name, "parked"): found} if found else {})


def _orders_tables(db: Database) -> dict[tuple[str, str], list[Row]]:
    tables: Any = db.tables
    sales = tables["stall_sale"].values()
    allotted = ("terminal", "pool", "item", "granted_total", "returned_total", "version")
    found = {
        "orders": [_order(order) for order, _ in tables["orders"].values()],
        "order_line": [_row(line) for one, _ in tables["orders"].values() for line in rows.line_rows(one.terms)],
        "campaign": [_row(rows.campaign_row(campaign)) for campaign, _ in tables["campaign"].values()],
        "campaign_join": [_row(rows.join_row(join, digest)) for join, digest in tables["campaign_join"].values()],
        "receipt": [_row(rows.receipt_row(receipt)) for receipt in tables["receipt"].values()],
        "campaign_tally": [_row(rows.tally_row(id, tally)) for id, tally in tables["campaign_tally"].items()],
        "stall_sale": [_row({"sale": one.body.sale}) for one in sales],
        "stall_sale_line": [
            _row({"sale": one.body.sale, "item": line.item, "quantity": line.quantity})
            for one in sales
            for line in one.body.lines
        ],
        "terminal_allotment": [_row(_named(one, *allotted)) for one in tables["terminal_allotment"].values()],
    }
    for name in ("order_history", "payment", "refund"):
        found[name] = [_row(tables[name][key]) for key in sorted(tables[name])]
    return {(ORDERS, name): list(rows) for name, rows in found.items()}


def _inventory_tables(db: Database) -> dict[tuple[str, str], list[Row]]:
    tables: Any = db.tables
    moved: list[Row] = [
        _movement(entry) | {"reason": one.code if (one := tables["reason"].get(entry.move.cause)) else None}
        for _, entry in sorted(tables["movement_n"].items())
    ]
    return _stock_tables(db) | {
        (INVENTORY, "movement"): moved,
        (INVENTORY, "sale"): [_row(asdict(sale)) for sale in tables["sale"].values()],
    }


def _stock_tables(db: Database, goods: set[Goods] | None = None) -> dict[tuple[str, str], list[Row]]:
    """Return the rows of some goods, or of all; of reservations those lines."""

    def of(table: str) -> list[Any]:
        found: Any = db.tables[table].values()
        return [row for row in found if goods is None or (row.pool, row.item) in goods]

    kept: Any = db.tables["reservation"].values()
    lines = [(row, line) for row, _ in kept for line in row.lines if goods is None or (row.pool, line.item) in goods]
    named = {row.id: row for row, _ in lines} if goods else {row.id: row for row, _ in kept}
    return {
        (INVENTORY, "stock"): [_named(row, *_STOCK) for row in of("stock")],
        (INVENTORY, "lot"): [_row(_named(row, *_LOT)) for row in of("lot")],
        (INVENTORY, "allotment"): [_named(row, *_ALLOTMENT) for row in of("allotment")],
        (INVENTORY, "reservation"): [_reservation(row) for row in named.values()],
        (INVENTORY, "reservation_line"): [
            {"reservation": str(row.id), "item": line.item, "quantity": line.quantity} for row, line in lines
        ],
    }


def _dispatch_tables(db: Database) -> dict[tuple[str, str], list[Row]]:
    found: list[Row] = []
    for job in db.tables["job"].values():
        row = _named(job, "id", "reservation", "state") | {"order_id": job.order, "wave": job.slot and job.slot.wave}
        found.append(_row(row | {"lines": [line.model_dump() for line in job.lines]}))
    return {(DISPATCH, "job"): found}


def _order(order: Order) -> Row:
    return _row(rows.terms_row(order.terms) | rows.state_row(order))


def _reservation(row: Reservation) -> Row:
    return {"id": str(row.id), "pool": row.pool, "order_id": str(row.order), "state": row.state}


def _movement(entry: Movement) -> dict[str, Any]:
    return _row({"id": entry.id, **_named(entry.move, *_MOVE)})


def _named(row: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


_JSON = (dict, list, tuple)


def _row(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as the audit's statements select it: ids and JSON as text."""
    return {name: _column(value) for name, value in columns.items()}


def _column(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return orjson.dumps(value).decode() if isinstance(value, _JSON) else value
