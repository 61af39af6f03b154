"""Accounts: the record that access keeps of each principal, and the rule of who may give which permissions."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from contracts.events.access import Status
from contracts.scopes import KINDS, STAFF, Scope
from contracts.values import Bounds, Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A principal. Its scopes follow from kind and role; `version` counts its published states."""

    subject: str
    kind: str
    tenant: str
    made_at: datetime
    role: str | None = None
    bounds: Bounds = field(default_factory=Bounds)
    status: Status = Status.ACTIVE
    revoked_at: datetime | None = None
    version: int = 1

    @property
    def scopes(self) -> frozenset[Scope]:
        """The actions that it may do within its bounds."""
        return scopes_of(self.kind, self.role)

    @property
    def is_active(self) -> bool:
        """True until it is revoked."""
        return self.status is Status.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Permissions that a member of staff gives to another person or a device."""

    kind: str
    role: str | None
    tenant: str
    bounds: Bounds


def scopes_of(kind: str, role: str | None) -> frozenset[Scope]:
    """Return the scopes of a kind, for staff of a role. Raises `KeyError` for unknown ones."""
    return STAFF[role or ""] if kind == "staff" else KINDS[kind]


def grant_of(account: Account) -> Grant:
    """Return the permissions of an account."""
    return Grant(kind=account.kind, role=account.role, tenant=account.tenant, bounds=account.bounds)


def granted(account: Account | None, grant: Grant, subject: str, now: datetime) -> Account:
    """Return the account with the permissions of a grant, and active; a new one where there is none."""
    if account is None:
        return Account(
            subject=subject,
            kind=grant.kind,
            role=grant.role,
            tenant=grant.tenant,
            bounds=grant.bounds,
            made_at=now,
        )
    return replace(
        account,
        kind=grant.kind,
        role=grant.role,
        bounds=grant.bounds,
        status=Status.ACTIVE,
        revoked_at=None,
        version=account.version + 1,
    )


def revoked(account: Account, now: datetime) -> Account:
    """Return the account without access; one that is revoked stays as it is."""
    if not account.is_active:
        return account
    return replace(account, status=Status.REVOKED, revoked_at=now, version=account.version + 1)


def is_within(inner: Bounds, outer: Bounds) -> bool:
    """Return True if the inner bounds permit nothing that the outer ones don't."""
    for place in fields(Bounds):
        limit, found = getattr(outer, place.name), getattr(inner, place.name)
        if limit is not None and (found is None or not found <= limit):
            return False
    return True


def may_enrol(caller: Principal, grant: Grant) -> bool:
    """Return True if the caller may enrol this device.

    Terminals belong to sites and couriers to stations: a caller bounded to some must name some of them. A device has
    other scopes than the person that enrols it, so scopes are not compared.
    """
    own = Bounds(**{name: getattr(caller.bounds, name) for name in _PLACES[grant.kind]})
    return caller.tenant == grant.tenant and is_within(grant.bounds, own)


def may_grant(caller: Principal, grant: Grant) -> bool:
    """Return True if the caller may invite, or revoke, a principal with these permissions.

    No one gives, or takes away, more than they have: an unbounded admin may do so to everybody of the tenant. Kinds
    other than staff get the permissions of their kind within bounds that the caller has.
    """
    if caller.tenant != grant.tenant or not is_within(grant.bounds, caller.bounds):
        return False
    return grant.kind != "staff" or scopes_of(grant.kind, grant.role) <= caller.scopes


_PLACES = {"terminal": ("sites", "terminals"), "courier": ("stations", "couriers")}
