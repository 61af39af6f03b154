"""Applies the requests of buyers, leaders and operators to an order: cancel, pay, refund, ready, collect, erase."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from contracts.events.orders import RecipientPut
from contracts.values import Principal
from services.kit.context import Context
from services.kit.http import problems
from services.kit.telemetry.metrics import CODES_LOCKED
from services.kit.transaction import erasure
from services.kit.transaction.access_log import Shown, log_reading
from services.kit.transaction.unit_of_work import UnitOfWork
from services.orders.commands.changes import Changes
from services.orders.domain.access import sees_person
from services.orders.domain.order.order import (
    TERMINAL,
    WRONG_CODE,
    Cancel,
    Collect,
    Order,
    OrderDecision,
    Paid,
    Ready,
    Refund,
    Terms,
)
from services.orders.repository.store import OrderStore

MOST_WRONG_CODES = 5
"""The limit of wrong codes for an order within an hour of real time."""

Request = Cancel | Paid | Ready | Collect | Refund
Allowed = Callable[[Principal, Terms], bool]
"""A rule that says whether a caller may do something with the order of these terms; asked once the order is locked."""


async def change_order(context: Context, id: UUID, request: Request, caller: Principal, allowed: Allowed) -> Order:
    """Apply a request to an order and return the order after it. Raises a 404 for an unknown order and one with which
    this is not `allowed`, and a 409 where its state does not allow the request.
    """
    async with context.unit() as uow:
        changes = await load_order(uow, id, caller, allowed)
        decision = _found(id, changes.change_order(id, request))
        if decision.refused:
            raise problems.conflict(decision.refused)
        await changes.save()
        await _log_code(uow, caller, decision.order)
    return decision.order


async def collect_order(context: Context, id: UUID, code: str, caller: Principal, allowed: Allowed) -> Order:
    """Hand a pickup over against its code and return the order; see `change_order` for `allowed`.

    A wrong code is a 409 `wrong-code`, and is counted although the request fails. After five of them every code is a
    409 `needs-desk`, also the right one, until an hour after the first; an operator uses `change_order`.
    """
    async with context.unit() as uow:
        changes = await load_order(uow, id, caller, allowed)
        store: OrderStore = uow.store
        now = uow.clock.real()
        if await store.count_wrong_codes(id, now) >= MOST_WRONG_CODES:
            raise problems.conflict(
                f"{MOST_WRONG_CODES} wrong codes were given for order {id} within an hour: let an operator hand it "
                "over, or try again an hour after the first of them",
                "needs-desk",
            )
        decision = _found(id, changes.change_order(id, Collect(code)))
        is_wrong = decision.refused == WRONG_CODE
        if is_wrong and await store.add_wrong_code(id, now) == MOST_WRONG_CODES:
            CODES_LOCKED.inc()
        await changes.save()
        if not decision.refused:
            await _log_code(uow, caller, decision.order)
    if decision.refused:
        raise problems.conflict(decision.refused, "wrong-code" if is_wrong else "conflict")
    return decision.order


async def erase_person(context: Context, id: UUID, why: str, caller: Principal, allowed: Allowed) -> dict[str, Any]:
    """Delete the recipient, code and notes of an order here, and tell dispatch to delete the recipient there.

    Returns when it was erased, by which caller and why. Idempotent: the first record stays. Raises a 404 for an unknown
    order, and a 409 `not-ended` before its end.
    """
    async with context.unit() as uow:
        store: OrderStore = uow.store
        found = await store.lock_orders([id])
        if not found or not allowed(caller, found[0].terms):
            raise problems.not_found(f"order {id}")
        (order,) = found
        if order.state not in TERMINAL:
            detail = f"order {id} is {order.state}: cancel it or wait for its end, then erase its person"
            raise problems.conflict(detail, "not-ended")
        erased = await store.erase_person(id, caller.subject, why)
        if order.terms.is_delivery and order.terms.code:  # an order without a code was erased before
            await erasure.forget(uow.conn, RecipientPut.TOPIC, [str(id)])
            uow.erase(RecipientPut.TOPIC, str(id))
        return erased


async def load_order(uow: UnitOfWork, id: UUID, caller: Principal, allowed: Allowed) -> Changes:
    """Lock and load an order for a caller. Raises a 404 for an unknown one, and where this is not `allowed`."""
    changes = Changes(uow, actor=caller.subject)
    await changes.orders.load([id])
    order = changes.orders.get(id)
    if order is None or not allowed(caller, order.terms):
        raise problems.not_found(f"order {id}")
    return changes


async def _log_code(uow: UnitOfWork, caller: Principal, order: Order) -> None:
    """Record that the answer to a change shows the code, which it does to those who may see the person."""
    if order.terms.code and sees_person(caller, order.terms):
        await log_reading(uow, caller, "change", {order.id: [Shown.CODE]})


def _found(id: UUID, decision: OrderDecision | None) -> OrderDecision:
    if decision is None:
        raise problems.not_found(f"order {id}")
    return decision
