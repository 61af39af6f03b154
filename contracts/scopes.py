"""Scopes: the actions that a credential permits, and the scopes of each kind of principal."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Scope(StrEnum):
    """One permission. It says what a principal may do; its bounds and the owner of an object say to which objects."""

    ORDER_WRITE = "order:write"
    """Place orders, join group-buys; read, pay and cancel one's own."""
    ORDER_READ = "order:read"
    """Read the goods, state and money of any order within the bounds."""
    ORDER_MANAGE = "order:manage"
    """List, cancel and refund any order within the bounds."""
    CAMPAIGN_WRITE = "campaign:write"
    """Open group-buys and send lists."""
    PICKUP_HAND_OVER = "pickup:hand-over"
    """Mark orders as arrived at a pickup point, and hand them over."""
    CATALOG_READ = "catalog:read"
    """Read the catalogue."""
    CATALOG_WRITE = "catalog:write"
    """Write the catalogue."""
    STOCK_READ = "stock:read"
    """Read stock, lots and allotments."""
    STOCK_CLOSE = "stock:close"
    """Mark an item of a site as sold out, and take that back."""
    STOCK_ADJUST = "stock:adjust"
    """Receive and inspect lots, lend stock, count, write off."""
    SALE_SUBMIT = "sale:submit"
    """Upload the records of a stall's terminal."""
    RECORD_HAND_IN = "record:hand-in"
    """Hand in the records of a device with a key that has ended, and nothing else."""
    PROMISE_READ = "promise:read"
    """Ask for the slot that a delivery would get."""
    WAVE_MANAGE = "wave:manage"
    """Read, cut, plan, move and release waves and their jobs; plan problems that are not stored."""
    SHIFT_WRITE = "shift:write"
    """Record the shift of a courier."""
    JOB_READ = "job:read"
    """Read a courier's route."""
    JOB_PROVE = "job:prove"
    """Upload the reports of a courier's phone."""
    DEVICE_ENROL = "device:enrol"
    """Make enrolment codes for terminals and couriers."""
    PRINCIPAL_MANAGE = "principal:manage"
    """Invite and revoke people and devices."""
    PAYMENT_RECORD = "payment:record"
    """Say that an order is paid."""
    LEDGER_POST = "ledger:post"
    """Refund, and post to the ledger."""
    PERSON_READ = "person:read"
    """Read names, phones and addresses within the bounds; each reading is recorded."""
    ERASURE_RUN = "erasure:run"
    """Erase a person."""
    OPS_ADMIN = "ops:admin"
    """Read, redrive and discard dead letters and flagged uploads."""


_BUYING = frozenset({Scope.ORDER_WRITE, Scope.PROMISE_READ, Scope.CATALOG_READ})
_DESK = frozenset({
    Scope.ORDER_READ, Scope.ORDER_MANAGE, Scope.CAMPAIGN_WRITE, Scope.PICKUP_HAND_OVER, Scope.CATALOG_READ,
    Scope.CATALOG_WRITE, Scope.STOCK_READ, Scope.STOCK_CLOSE, Scope.STOCK_ADJUST, Scope.PROMISE_READ,
    Scope.DEVICE_ENROL, Scope.PERSON_READ,
})  # fmt: skip

STAFF: Mapping[str, frozenset[Scope]] = {
    "desk": _DESK,
    "intake": frozenset({Scope.CATALOG_READ, Scope.STOCK_READ, Scope.STOCK_ADJUST}),
    "dispatcher": frozenset({
        Scope.CATALOG_READ, Scope.ORDER_READ, Scope.WAVE_MANAGE, Scope.SHIFT_WRITE, Scope.JOB_READ,
        Scope.DEVICE_ENROL, Scope.PERSON_READ,
    }),
    "finance": frozenset({Scope.CATALOG_READ, Scope.ORDER_READ, Scope.PAYMENT_RECORD, Scope.LEDGER_POST}),
    "admin": frozenset(Scope),
}  # fmt: skip
"""The scopes of a member of staff by role."""

KINDS: Mapping[str, frozenset[Scope]] = {
    "terminal": frozenset({Scope.SALE_SUBMIT, Scope.STOCK_READ, Scope.STOCK_CLOSE, Scope.CATALOG_READ}),
    "courier": frozenset({Scope.JOB_READ, Scope.JOB_PROVE, Scope.CATALOG_READ}),
    "leader": _BUYING | {Scope.CAMPAIGN_WRITE, Scope.PICKUP_HAND_OVER},
    "resident": _BUYING,
    "capability": frozenset({Scope.ORDER_WRITE}),
    "household": frozenset(),  # stock can't be read by household yet
    "steward": frozenset({Scope.CATALOG_READ, Scope.STOCK_READ, Scope.STOCK_ADJUST}),
    "payment": frozenset({Scope.PAYMENT_RECORD}),
}
"""The scopes of a principal by its kind; those of staff are by role (`STAFF`)."""

LOCAL: Mapping[str, frozenset[Scope]] = {
    "operator": frozenset(Scope),
    "terminal": KINDS["terminal"] | {Scope.PROMISE_READ},
    "courier": KINDS["courier"] | {Scope.SHIFT_WRITE, Scope.STOCK_READ},
    "leader": frozenset({
        Scope.CAMPAIGN_WRITE, Scope.PICKUP_HAND_OVER, Scope.CATALOG_READ, Scope.STOCK_READ, Scope.PROMISE_READ,
    }),
    "buyer": _BUYING | {Scope.STOCK_READ, Scope.PAYMENT_RECORD},
}  # fmt: skip
"""The scopes of the local tokens by role. They have no bounds, and act for any id of their role."""
