"""The rights of a caller on an order. Pure; the scope of the route was checked before."""

from __future__ import annotations

from contracts.scopes import Scope
from contracts.values import Principal


def is_terminal(caller: Principal, terminal: str) -> bool:
    """Return True if the caller may upload as this terminal: its device is bound to one."""
    return caller.bounds.permit("terminals", terminal)


def sees_person(caller: Principal) -> bool:
    """Return True if the caller may see recipient, code and notes of an order."""
    return caller.may(Scope.PERSON_READ) or (caller.kind == "local" and caller.may(Scope.ORDER_WRITE))
