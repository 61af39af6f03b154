"""Facts of a simulated day in the shape of the invariants: events from outbox rows, and rows as the audit reads them.

All access to the tables in memory is here. Ids are text, as in SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

import orjson

from contracts.topics import DISPATCH, INVENTORY, ORDERS
from deploy.audit.invariants.facts import Fact, History, HistoryEntry, Operation, Outcome, Row, Tables
from services.inventory.domain.reservation import Reservation
from services.orders.domain.campaign.join import Join
from services.orders.domain.order.order import Order
from services.orders.repository import rows
from tests.simulation.memory import GONE, Database, Transaction

_STOCK = ("pool", "item", "on_hand", "held", "allocated", "allotted", "unconfirmed", "shortfall", "available", "closed")
_LOT = ("pool", "item", "received", "released", "rejected", "on_hand")
_ALLOTMENT = ("terminal", "pool", "item", "granted", "returned", "allotted", "unconfirmed", "version")
_MOVE = ("pool", "item", "source", "target", "quantity", "cause", "inferred")


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


def history_of(accepted: Mapping[UUID, Order], joins: Iterable[UUID], db: Database) -> History:
    """Return the orders and joins that clients know to be accepted; other orders in the table have no known outcome."""
    found = History()
    for id, (order, _) in db.tables["orders"].items():
        known = id in accepted
        terms = accepted[id].terms if known else order.terms
        lines = [[line.item, line.quantity] for line in terms.lines]
        data = {"lines": lines, "payment": terms.payment, "fulfilment": terms.fulfilment}
        outcome = Outcome.OK if known else Outcome.UNKNOWN
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


class CommittedStock:
    """The rows of the pools that a transaction of inventory changed.

    Its movements are summed up by place, claim and lot, so that a check after each commit costs the same all day.
    """

    def __init__(self) -> None:
        self._moved: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {}

    def tables(self, transaction: Transaction) -> Tables:
        """Add the movements of a transaction; return the tables of its pools."""
        writes, db = transaction.writes, transaction.db
        pools = {key[0] for key in writes.get("stock", ())}  # type: ignore[index]
        pools |= {row[0].pool for row in writes.get("reservation", {}).values()}
        pools |= {row.pool for name in ("allotment", "lot") for row in writes.get(name, {}).values()}
        for entry in writes.get("movement_n", {}).values():
            move = entry.move
            pools.add(move.pool)
            key = (move.item, move.source, move.target, move.lot)
            of_pool = self._moved.setdefault(move.pool, {})
            if key in of_pool:
                of_pool[key]["quantity"] += move.quantity
            else:
                of_pool[key] = _movement(entry, None)
        moved = [row for pool in pools for row in self._moved.get(pool, {}).values()]
        return Tables(_stock_tables(db, pools) | {(INVENTORY, "movement"): moved}) if pools else Tables()


def dead_letters(transaction: Transaction) -> Tables:
    """Return the dead letters that a transaction stored."""
    stored = [row for row in transaction.writes.get("parked", {}).values() if row is not GONE]
    found = [{"consumer": consumer, "scope": scope, "error": one.fault} for consumer, scope, one in stored]
    return Tables({(transaction.db.name, "parked"): found} if found else {})


def _orders_tables(db: Database) -> dict[tuple[str, str], list[Row]]:
    tables: Any = db.tables
    orders: list[Order] = [order for order, _ in tables["orders"].values()]
    joins: list[Join] = [join for join, _ in tables["campaign_join"].values()]
    sales = tables["stall_sale"].values()
    found = {
        "orders": [_order(order) for order in orders],
        "order_line": [_text(line, "order_id") for order in orders for line in rows.line_rows(order.terms)],
        "campaign": [
            {"campaign_id": str(id), "pool": one.terms.pool, "state": one.state}
            | {"unsettled": one.left, "settled": one.settled}
            for id, (one, _) in tables["campaign"].items()
        ],
        "campaign_join": [_join(join) for join in joins],
        "campaign_tally": [
            {"campaign_id": str(id), "joined": one.joined, "standing": one.standing}
            | {"pledged": orjson.dumps(one.pledged or {}).decode()}
            for id, one in tables["campaign_tally"].items()
        ],
        "stall_sale": [{"sale": str(one.body.sale), "terminal": one.terminal} for one in sales],
        "stall_sale_line": [
            {"sale": str(one.body.sale), "item": line.item, "quantity": line.quantity}
            for one in sales
            for line in one.body.lines
        ],
        "terminal_allotment": [
            {name: getattr(one, name) for name in ("terminal", "pool", "item")}
            | {name: getattr(one, name) for name in ("granted_total", "returned_total", "version")}
            for one in tables["terminal_allotment"].values()
        ],
    }
    for name in ("order_history", "payment", "refund"):
        found[name] = [_text(tables[name][key], "order_id") for key in sorted(tables[name])]
    return {(ORDERS, name): list(rows) for name, rows in found.items()}


def _inventory_tables(db: Database) -> dict[tuple[str, str], list[Row]]:
    tables: Any = db.tables
    reasons = tables["reason"]
    moved = [
        _movement(entry, reasons[entry.move.cause].code if entry.move.cause in reasons else None, str(entry.id))
        for _, entry in sorted(tables["movement_n"].items())
    ]
    sales = [{"id": str(one.id), "terminal": one.terminal, "voided": one.voided} for one in tables["sale"].values()]
    return _stock_tables(db, None) | {(INVENTORY, "movement"): moved, (INVENTORY, "sale"): sales}


def _stock_tables(db: Database, pools: set[str] | None) -> dict[tuple[str, str], list[Row]]:
    """Return the rows of some pools, or of all."""
    tables: Any = db.tables

    def of(table: str) -> list[Any]:
        return [row for row in tables[table].values() if pools is None or row.pool in pools]

    reservations: list[Reservation] = [
        row for row, _ in tables["reservation"].values() if pools is None or row.pool in pools
    ]
    found = {
        "stock": [_named(row, _STOCK) for row in of("stock")],
        "lot": [_named(row, _LOT) | {"id": str(row.id)} for row in of("lot")],
        "allotment": [_named(row, _ALLOTMENT) for row in of("allotment")],
        "reservation": [_reservation(row) for row in reservations],
        "reservation_line": [
            {"reservation": str(row.id), "item": line.item, "quantity": line.quantity}
            for row in reservations
            for line in row.lines
        ],
    }
    return {(INVENTORY, name): list(rows) for name, rows in found.items()}


def _dispatch_tables(db: Database) -> dict[tuple[str, str], list[Row]]:
    jobs: Any = db.tables["job"].values()
    found: list[Row] = [
        {"id": str(job.id), "order_id": str(job.order), "reservation": str(job.reservation), "state": job.state}
        | {"lines": _json(job.lines), "wave": job.slot and job.slot.wave}
        for job in jobs
    ]
    return {(DISPATCH, "job"): found}


def _named(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _text(row: Mapping[str, Any], *ids: str) -> Row:
    return {**row, **{name: str(row[name]) for name in ids}}


def _json(lines: Iterable[Any]) -> str:
    return orjson.dumps(
        [{name: getattr(line, name) for name in ("line", "item", "quantity")} for line in lines]
    ).decode()


def _order(order: Order) -> Row:
    terms = order.terms
    row = _named(order, ("state", "attempt", "wave", "paid_fen", "refunded_fen", "version"))
    row |= _named(terms, ("pool", "fulfilment", "payment", "total_fen"))
    row |= {"order_id": str(order.id), "reservation": str(order.reservation), "job": str(order.job)}
    return row | {"join_id": str(terms.join) if terms.join else None}


def _join(join: Join) -> Row:
    row = {
        "join_id": str(join.id),
        "campaign_id": str(join.campaign),
        "state": join.state,
        "lines": _json(join.terms.lines),
    }
    row |= {"payment": join.terms.payment, "total_fen": join.terms.total_fen, "refunded_fen": join.refunded_fen}
    return row | {"granted": orjson.dumps(join.granted).decode() if join.granted is not None else None}


def _reservation(row: Reservation) -> Row:
    return {"id": str(row.id), "pool": row.pool, "order_id": str(row.order), "state": row.state}


def _movement(entry: Any, reason: str | None, id: str = "") -> dict[str, Any]:
    lot = str(entry.move.lot) if entry.move.lot else None
    return _named(entry.move, _MOVE) | {"id": id, "lot": lot, "reason": reason}
