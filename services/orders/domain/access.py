"""The rights of a caller on orders and terminals. Pure; the scope of the route was checked before.

An order belongs to the subject that placed it. Staff act on the orders of their communities, the leader of a pickup
point on those of the point. A local token acts for any subject of its role.
"""

from __future__ import annotations

from contracts.scopes import Scope
from contracts.values import LOCAL_KIND, Payment, Principal
from services.orders.domain.order.order import Terms


def is_terminal(caller: Principal, terminal: str) -> bool:
    """Return True if the caller may upload as this terminal: its device is bound to one."""
    return caller.bounds.permit("terminals", terminal)


def sees_person(caller: Principal, terms: Terms) -> bool:
    """Return True if the caller may see recipient, code and notes of an order."""
    return _is_owner(caller, terms) or _manages(caller, terms, Scope.PERSON_READ)


def may_read(caller: Principal, terms: Terms) -> bool:
    """Return True if the caller may see goods, state and money of an order."""
    return (
        caller.kind == LOCAL_KIND
        or _is_owner(caller, terms)
        or _manages(caller, terms, Scope.ORDER_READ)
        or may_hand_over(caller, terms)
    )


def may_cancel(caller: Principal, terms: Terms) -> bool:
    """Return True if the caller may cancel an order."""
    return _is_owner(caller, terms) or _manages(caller, terms, Scope.ORDER_MANAGE)


def may_hand_over(caller: Principal, terms: Terms) -> bool:
    """Return True if the caller may mark an order as arrived, and hand it over against its code."""
    if caller.kind == LOCAL_KIND:
        return caller.may(Scope.PICKUP_HAND_OVER) or caller.may(Scope.ORDER_WRITE)
    at_point = terms.point is not None and caller.bounds.permit("points", terms.point)
    return caller.may(Scope.PICKUP_HAND_OVER) and at_point and caller.bounds.permit("communities", terms.community)


def may_account(caller: Principal, terms: Terms) -> bool:
    """Return True if the caller may record payments of an order and refund them."""
    return caller.bounds.permit("communities", terms.community)


def may_promise(caller: Principal, payment: Payment) -> bool:
    """Return True if the caller may order on these terms of payment: only a payment principal says that an order is
    paid, and goods on account need a credit, which no member has yet, so that a buyer pays while the stock is held.
    """
    return caller.kind == LOCAL_KIND or caller.may(Scope.PAYMENT_RECORD) or payment is Payment.PENDING


def _is_owner(caller: Principal, terms: Terms) -> bool:
    if caller.kind == LOCAL_KIND:
        return caller.may(Scope.ORDER_WRITE)
    return terms.owner is not None and terms.owner == caller.subject


def _manages(caller: Principal, terms: Terms, scope: Scope) -> bool:
    return caller.may(scope) and caller.bounds.permit("communities", terms.community)
