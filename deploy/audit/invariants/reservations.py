"""Reservations: what orders and inventory record about them agrees, and their steps come in the right order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from uuid import UUID

from contracts.topics import INVENTORY, ORDERS
from contracts.values import job_of, reservation_of
from deploy.audit.finding import Finding
from deploy.audit.invariants.facts import Row, Tables, Topics
from deploy.audit.invariants.invariant import Moment, invariant

# The states of a reservation that an order's state implies once every message has arrived. While an order is cancelling
# or failing, it may be in any state.
_GIVEN_UP = frozenset({"released", "expired", "refused", "tombstone"})
_STATES: Mapping[str, frozenset[str]] = {
    "held": frozenset({"held"}),
    "reserved": frozenset({"firm"}),
    "scheduled": frozenset({"firm"}),
    "ready": frozenset({"firm"}),
    "loaded": frozenset({"loaded"}),
    "delivered": frozenset({"loaded"}),
    "collected": frozenset({"collected"}),
    "rejected": frozenset({"refused"}),
    "expired": frozenset({"expired", "released"}),
    "cancelled": _GIVEN_UP,
    "failed": _GIVEN_UP,
}
_CLAIMING = frozenset({"held", "firm"})
_OUT = {"loaded": "courier", "collected": "buyer"}
"""The place of the goods of a reservation in these states."""


@invariant(Moment.QUIET)
def agree(tables: Tables) -> Iterator[Finding]:
    """An order's reservation is in the state that the order's state implies, for the order's goods."""
    found = {row["id"]: row for row in tables.rows(INVENTORY, "reservation")}
    lines, goods = tables.grouped(INVENTORY, "reservation_line", "reservation"), goods_of(tables)
    for order in tables.rows(ORDERS, "orders"):
        id, allowed = order["order_id"], _allowed(order)
        row = found.get(order["reservation"])
        there = row["state"] if row else "unknown"
        if allowed and there not in allowed:
            what = f"is {order['state']}, its reservation {order['reservation']} is {there}"
            yield Finding("reservation", id, what, "inventory.reservation")
        elif row and there not in _GIVEN_UP:
            claimed: Counter[str] = Counter()
            for line in lines[row["id"]]:
                claimed[line["item"]] += line["quantity"]
            if claimed != goods[id]:
                what = f"is for {dict(goods[id])}, its reservation for {dict(claimed)}"
                yield Finding("reservation", id, what, "inventory.reservation_line")


def _allowed(order: Row) -> frozenset[str] | None:
    if order["state"] == "returned":  # by the courier, or given up at the pickup point, which the goods never left
        return frozenset({"returned"}) if order["fulfilment"] == "delivery" else frozenset({"released"})
    return _STATES.get(order["state"])


@invariant(Moment.QUIET)
def needed(tables: Tables) -> Iterator[Finding]:
    """Every claim on stock belongs to an order's current attempt, or to a campaign that is not settled."""
    current = {row["order_id"]: row["reservation"] for row in tables.rows(ORDERS, "orders")}
    current |= {
        row["campaign_id"]: str(reservation_of(UUID(row["campaign_id"]), row["pool"], 1))
        for row in tables.rows(ORDERS, "campaign")
        if not row["settled"]
    }
    for row in tables.rows(INVENTORY, "reservation"):
        if row["state"] in _CLAIMING and current.get(row["order_id"]) != row["id"]:
            what = f"its reservation {row['id']} is {row['state']}, but no order or campaign needs it"
            yield Finding("reservation", row["order_id"], what, "inventory.reservation")


@invariant(Moment.ALWAYS)
def one_an_attempt(topics: Topics) -> Iterator[Finding]:
    """An attempt of an order has one reservation at most, which is granted as often as a command for it was sent."""
    attempts = Counter(fact.subject for fact in topics.of("order-placed", "order-reopened"))
    granted = Counter((fact.data["order"], fact.subject) for fact in topics.of("stock-reserved"))
    reserved = Counter(order for order, _ in granted)
    for order, tries in attempts.items():  # a campaign's reservation is of no order
        if reserved[order] > tries:
            what = f"has {reserved[order]} reservations in {tries} attempts"
            yield Finding("duplicate reservation", order, what, "inventory.stock.v1")
    commands = Counter((fact.data["order"], fact.subject) for fact in topics.of("reserve-stock"))
    for (order, reservation), times in granted.items():
        if times > (sent := commands[order, reservation]):
            what = f"{reservation} was granted {times} times for {sent} commands"
            yield Finding("duplicate reservation", order, what, "inventory.stock.v1")


@invariant(Moment.ALWAYS)
def firm_never_expires(topics: Topics) -> Iterator[Finding]:
    """A reservation that was made firm never expires."""
    firm: set[str] = set()
    for fact in topics["inventory.stock.v1"]:
        if fact.type == "stock-committed" or (fact.type == "stock-reserved" and fact.data["firm"]):
            firm.add(fact.subject)
        elif fact.type == "reservation-expired" and fact.subject in firm:
            yield Finding("reservation", fact.data["order"], f"{fact.subject} was firm and expired", fact.where)


@invariant(Moment.ALWAYS)
def released_after_delivery(topics: Topics) -> Iterator[Finding]:
    """The stock of a scheduled delivery is released only because the delivery was cancelled or refused."""
    scheduled = {fact.data["reservation"] for fact in topics.of("schedule-delivery")}
    off = {fact.id: fact.data["job"] for fact in topics.of("job-cancelled", "job-refused")}
    released: set[str] = set()
    for fact in topics.of("release-stock"):
        order, reservation = fact.data["order"], fact.data["reservation"]
        first = reservation not in released  # it is sent again until it is answered
        released.add(reservation)
        if first and reservation in scheduled and off.get(fact.cause) != str(job_of(UUID(order), UUID(reservation))):
            what = f"{reservation} was released although its delivery was not cancelled"
            yield Finding("reservation", order, what, fact.where)


@invariant(Moment.QUIET)
def goods_left_once(tables: Tables) -> Iterator[Finding]:
    """A reservation's goods left the stock once, to the courier or the buyer, and are back if they were returned."""
    out: Counter[tuple[str, str, str]] = Counter()
    for move in tables.rows(INVENTORY, "movement"):
        kind, _, id = move["cause"].partition("/")
        if kind == "reservation":
            out[id, move["item"], move["target"]] += move["quantity"]
            out[id, move["item"], move["source"]] -= move["quantity"]
    due: Counter[tuple[str, str, str]] = Counter()
    places = {row["id"]: _OUT.get(row["state"]) for row in tables.rows(INVENTORY, "reservation")}
    for line in tables.rows(INVENTORY, "reservation_line"):
        if place := places.get(line["reservation"]):
            due[line["reservation"], line["item"], place] += line["quantity"]
    for id, item, place in sorted(out.keys() | due.keys()):
        if place in _OUT.values() and out[id, item, place] != due[id, item, place]:
            what = f"{out[id, item, place]} {item} are with the {place} instead of {due[id, item, place]}"
            yield Finding("movement", id, what, "inventory.movement")


def goods_of(tables: Tables) -> Mapping[str, Counter[str]]:
    """Return the goods of each order, by item."""
    found: dict[str, Counter[str]] = {row["order_id"]: Counter() for row in tables.rows(ORDERS, "orders")}
    for line in tables.rows(ORDERS, "order_line"):
        found[line["order_id"]][line["item"]] += line["quantity"]
    return found
