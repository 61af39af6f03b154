"""Invariants of orders, and the agreement of the three services once nothing is in progress."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

from services.dispatch.domain.job.job import JobState as JobState
from services.inventory.domain.reservation import OUT
from services.inventory.domain.reservation import ReservationState as Reserved
from services.orders.domain.order.order import HANDED_OVER, TERMINAL, Order, OrderState
from tests.simulation.invariant import check_invariant
from tests.simulation.memory import GONE, Database, Transaction

Databases = dict[str, Database]


def committed(transaction: Transaction, dbs: Databases) -> None:
    """Check a transaction that orders committed."""
    for id, row in transaction.writes.get("orders", {}).items():
        order: Order = row[0]
        if order.state in {OrderState.RESERVED, OrderState.SCHEDULED, OrderState.READY, OrderState.LOADED}:
            known = dbs["inventory"].tables["reservation"].get(order.reservation)
            has_stock = known and (known[0].state is Reserved.FIRM or known[0].state in OUT)
            check_invariant(
                has_stock, "a reserved order has its stock", f"order {id} is {order.state}, {known and known[0]}"
            )
        if order.state in TERMINAL and order.state not in HANDED_OVER:
            check_invariant(not order.is_paid, "an order that is not kept is refunded", f"order {id} is {order.state}")


def no_dead_letters(transaction: Transaction) -> None:
    """Check that no message of our own services is dead-lettered."""
    for row in transaction.writes.get("parked", {}).values():
        if row is not GONE:
            consumer, scope, delivery = row
            description = f"{consumer} {scope}: {delivery.fault}"
            check_invariant(delivery.fault is None, "nothing is dead-lettered", description)


def at_end(dbs: Databases, accepted: dict[UUID, Order], interested: dict[str, set[UUID]]) -> None:
    """Check that every order has ended, and that all three services agree about it."""
    orders = dbs["orders"].tables["orders"]
    lost = [id for id in accepted if id not in orders]
    check_invariant(not lost, "an accepted order is never lost", f"{lost}")
    jobs = {job.order: job for job in dbs["dispatch"].tables["job"].values()}
    for id, (order, _) in orders.items():
        check_invariant(
            order.state in TERMINAL, "every order ends", f"order {id} is {order.state}, awaiting {order.awaiting!r}"
        )
        reservations = [r for r, _ in dbs["inventory"].tables["reservation"].values() if r.order == id]
        _agree(order, reservations, jobs.get(id))  # type: ignore[arg-type, call-overload]
        steps = [row for row in dbs["orders"].tables["order_history"] if row[0] == id]  # type: ignore[index]
        check_invariant(
            len(steps) == order.version, "every step is recorded", f"order {id}: {len(steps)} of {order.version}"
        )
    _nothing_left(dbs, interested)


def _agree(order: Order, reservations: list[Any], job: Any) -> None:
    description = f"order {order.id} is {order.state}, {[r.state for r in reservations]}, {job and job.state}"
    current = next((r for r in reservations if r.id == order.reservation), None)
    active = [r for r in reservations if r.active]
    check_invariant(not active, "an ended order reserves nothing", description)
    match order.state:
        case OrderState.DELIVERED:
            agrees = current and current.state is Reserved.LOADED and job and job.state is JobState.DELIVERED
        case OrderState.COLLECTED:
            agrees = current and current.state is Reserved.COLLECTED
        case OrderState.RETURNED if order.terms.is_delivery:
            agrees = current and current.state is Reserved.RETURNED and job and job.state is JobState.RETURNED
        case _:
            agrees = not current or current.state not in OUT
            agrees = agrees and (job is None or job.state in {JobState.CANCELLED, JobState.REFUSED})
    check_invariant(agrees, "the services agree about an ended order", description)
    due = Counter(money.payment for money in order.money if order.state in HANDED_OVER)
    check_invariant(not order.is_paid or due, "an order that is not kept is refunded", description)


def _nothing_left(dbs: Databases, interested: dict[str, set[UUID]]) -> None:
    for name, db in dbs.items():
        left = list(db.tables["outbox"].values())
        check_invariant(
            not left, "nothing is left over", f"outbox of {name}: {[(r.topic, r.subject) for r in left[:3]]}"
        )
        inbox = db.tables["inbox"]
        for consumer, ids in interested.items():
            if consumer.startswith(f"{name}."):
                missed = sorted(id for id in ids if (consumer, id) not in inbox)
                check_invariant(not missed, "nothing is left over", f"{consumer} never handled {missed[:3]}")
        check_invariant(not db.deadlocks, "locks are taken in one order", f"{db.deadlocks} deadlocks in {name}")
        check_invariant(not db.holders, "nothing is left over", f"locks of {name}: {list(db.holders)[:3]}")
