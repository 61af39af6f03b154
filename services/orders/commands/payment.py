"""Receives the callbacks of payment providers: each transaction counts once, and none is lost."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import structlog
from prometheus_client import Counter

from contracts.values import Principal
from services.kit.context import Context
from services.kit.http import problems
from services.kit.http.problems import Problem
from services.orders.commands.changes import Changes
from services.orders.commands.order import Allowed, load_order
from services.orders.domain.order.order import Order
from services.orders.domain.payment import Notice, ReceiptState, payment_of, receive
from services.orders.payment_providers import InvalidSignature, PaymentProvider, UnreadableNotice
from services.orders.repository.store import PaymentStore, ReceiptKey

RECEIPTS = Counter(
    "halfday_receipts",
    "Callbacks of payment providers: matched, unmatched, repeated, conflict, unreadable, refused, ignored",
    ["provider", "outcome"],
)
_log = structlog.get_logger("halfday.payments")


class ReceivePayments:
    """The callbacks of the configured providers, by name."""

    def __init__(self, context: Context, providers: Mapping[str, PaymentProvider]) -> None:
        self._context, self._providers = context, providers

    async def __call__(self, name: str, headers: Mapping[str, str], body: bytes) -> None:
        """Store the payment of a callback with its effect on the order, durably. `body`: as it was received.

        Returns for everything that a repeat of the callback could not improve. Raises a 401, the same for an unknown
        provider and for a wrong signature, and a 422 for what this build can't read, so that the provider repeats it.
        """
        provider = self._providers.get(name)
        if provider is None:
            raise _unknown()
        try:
            notice = await provider.read(headers, body)
        except InvalidSignature:
            RECEIPTS.labels(name, "refused").inc()
            raise _unknown() from None
        except UnreadableNotice as wrong:
            RECEIPTS.labels(name, "unreadable").inc()
            raise problems.unprocessable("", f"the callback is not of the expected form: {wrong}") from None
        outcome = await record_notice(self._context, notice) if notice else "ignored"
        RECEIPTS.labels(name, outcome).inc()


async def record_notice(context: Context, notice: Notice) -> str:
    """Store a notice as a receipt and let its order take the payment, in one transaction. Idempotent: a repeat changes
    nothing, and another content under the transaction is stored as a conflict, without effect. Returns the outcome.
    """
    async with context.unit() as uow:
        changes, now = Changes(uow, actor=f"payment.{notice.provider}"), uow.clock.real()
        store: PaymentStore = uow.store
        await changes.orders.load([notice.order])  # its lock comes before that of the receipt, everywhere
        receipt = receive(notice, changes.orders.get(notice.order), now)
        if await store.insert_receipt(receipt):
            if receipt.state is ReceiptState.MATCHED:
                changes.change_order(notice.order, notice.paid)
                await changes.save()
            else:
                _log.warning("receipt_unmatched", provider=notice.provider, reason=str(receipt.reason))
            return str(receipt.state)
        (stored,) = (await store.find_receipts([notice.key])).values()
        if stored.notice == notice:
            return "repeated"
        await store.record_receipt_conflict(notice, now)
        _log.warning("receipt_conflict", provider=notice.provider, transaction=notice.transaction)
        return "conflict"


async def assign_receipt(context: Context, key: ReceiptKey, id: UUID, caller: Principal, allowed: Allowed) -> Order:
    """Let an order take an unmatched receipt that came before it, or names another one; return the order. Idempotent.

    Raises a 404 for an unknown receipt or order, and one with which this is not `allowed`; a 409 where the receipt pays
    another order already, or does not fit this one.
    """
    async with context.unit() as uow:
        changes = await load_order(uow, id, caller, allowed)
        order = changes.orders.get(id)
        store: PaymentStore = uow.store
        receipt = (await store.lock_receipts([key])).get(key)
        if receipt is None or order is None:
            raise problems.not_found(f"receipt {payment_of(*key)}")
        if receipt.pays == id:
            return order
        if receipt.pays:
            raise problems.conflict(f"receipt {payment_of(*key)} pays another order")
        if why := receive(receipt.notice, order, receipt.received_at).reason:
            due = f"order {id} costs {order.terms.total_fen} fen, in one payment"
            raise problems.conflict(
                f"{due}; the receipt is of {receipt.notice.amount_fen} {receipt.notice.currency}", why
            )
        changes.change_order(id, receipt.notice.paid)
        await store.save_receipts([receipt.used_for(id, order.terms.total_fen)])
        await changes.save()
        return changes.orders.get(id) or order


def _unknown() -> Problem:
    detail = "No provider that is configured here has signed this within five minutes: check name, secret and clock"
    return Problem(401, "unauthorized", problems.TITLES[401], detail, headers={"WWW-Authenticate": "Signature"})
