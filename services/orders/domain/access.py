"""The rights of a caller on orders, group-buys and terminals. Pure; the scope of the route was checked before.

An order belongs to the subject that placed it, a join to the subject that pledged, a group-buy to its leader. Staff act
on those of their communities, the leader of a pickup point on the orders of the point, the leader of a group-buy on its
joins and their orders. The holder of an order's capability is its owner, if a client without an account placed it. A
local token acts for any subject of its role.
"""

from __future__ import annotations

from uuid import UUID

from contracts.scopes import Scope
from contracts.values import LOCAL_KIND, Payment, Principal
from services.orders.domain import capability
from services.orders.domain.campaign.campaign import Terms as CampaignTerms
from services.orders.domain.order.order import Terms


def is_terminal(caller: Principal, terminal: str) -> bool:
    """Return True if the caller may upload as this terminal: its device is bound to one."""
    return caller.bounds.permit("terminals", terminal)


def is_owner(caller: Principal, terms: Terms) -> bool:
    """Return True if the caller placed the order or pledged for it; a local token of buyers stands for any of them."""
    if caller.kind == LOCAL_KIND:
        return caller.may(Scope.ORDER_WRITE)
    if caller.kind == capability.KIND:
        return capability.has_capability(terms.owner) and caller == capability.holder(terms.order)
    return terms.owner is not None and terms.owner == caller.subject


def sees_person(caller: Principal, terms: Terms) -> bool:
    """Return True if the caller may see recipient, code and notes of an order."""
    return is_owner(caller, terms) or _manages(caller, terms, Scope.PERSON_READ)


def may_read(caller: Principal, terms: Terms) -> bool:
    """Return True if the caller may see goods, state and money of an order."""
    return (
        caller.kind == LOCAL_KIND
        or is_owner(caller, terms)
        or _manages(caller, terms, Scope.ORDER_READ)
        or may_hand_over(caller, terms)
        or _leads(caller, terms)
    )


def may_cancel(caller: Principal, terms: Terms) -> bool:
    """Return True if the caller may cancel an order. A leader acts for the members that she pledged for."""
    pledged_for = terms.owner is None and _leads(caller, terms)
    return is_owner(caller, terms) or pledged_for or _manages(caller, terms, Scope.ORDER_MANAGE)


def may_hand_over(caller: Principal, terms: Terms) -> bool:
    """Return True if the caller may mark an order as arrived, and hand it over against its code."""
    if caller.kind == LOCAL_KIND:
        return caller.may(Scope.PICKUP_HAND_OVER) or caller.may(Scope.ORDER_WRITE)
    at_point = terms.point is not None and caller.bounds.permit("points", terms.point)
    here = at_point and caller.bounds.permit("communities", terms.community)
    return caller.may(Scope.PICKUP_HAND_OVER) and (here or _leads(caller, terms))


def may_account(caller: Principal, terms: Terms) -> bool:
    """Return True if the caller may record payments of an order and refund them."""
    return caller.bounds.permit("communities", terms.community)


def may_assign(caller: Principal, _terms: Terms) -> bool:
    """Return True if the caller may say which order an unmatched receipt pays: it belongs to no community."""
    return caller.bounds.communities is None


def may_promise(caller: Principal, payment: Payment, *, has_receipt: bool) -> bool:
    """Return True if the caller may order on these terms of payment. That an order is paid is said by a payment
    principal, or by a receipt that a provider's callback has left. Goods on account are for callers with an account;
    whether its member has a credit is a question about the order (`account_of`).
    """
    if payment is Payment.ON_ACCOUNT:
        return caller.kind != capability.KIND
    return payment is Payment.PENDING or has_receipt or _is_payment(caller)


def account_of(caller: Principal, payment: Payment) -> str | None:
    """Return the subject that needs a credit for goods on account; None where none is needed."""
    return caller.owner if payment is Payment.ON_ACCOUNT and not _is_payment(caller) else None


def sees_member(caller: Principal, community: str) -> bool:
    """Return True if the caller may see the members of a community, which have neither name nor phone."""
    may = caller.may(Scope.PERSON_READ) or caller.may(Scope.LEDGER_POST)
    return may and caller.bounds.permit("communities", community)


def _is_payment(caller: Principal) -> bool:
    return caller.kind == LOCAL_KIND or caller.may(Scope.PAYMENT_RECORD)


def sees_campaign(caller: Principal, campaign: UUID, community: str) -> bool:
    """Return True if the caller may open, see and join a group-buy of this id in this community."""
    bounds = caller.bounds
    return bounds.permit("campaigns", str(campaign)) and bounds.permit("communities", community)


def may_relay(caller: Principal, terms: CampaignTerms) -> bool:
    """Return True if the caller may pledge for members of a chat in a group-buy."""
    return _acts_in(caller, terms, Scope.ORDER_MANAGE)


def sees_joins(caller: Principal, terms: CampaignTerms) -> bool:
    """Return True if the caller may see all joins of a group-buy, in its list and in its verdict."""
    return _acts_in(caller, terms, Scope.ORDER_READ)


def may_read_join(caller: Principal, terms: Terms) -> bool:
    """Return True if the caller may see a join with these terms."""
    return (
        caller.kind == LOCAL_KIND
        or is_owner(caller, terms)
        or _leads(caller, terms)
        or _manages(caller, terms, Scope.ORDER_READ)
    )


def may_withdraw(caller: Principal, terms: Terms) -> bool:
    """Return True if the caller may withdraw a join with these terms."""
    return (
        caller.kind == LOCAL_KIND
        or is_owner(caller, terms)
        or _leads(caller, terms)
        or _manages(caller, terms, Scope.ORDER_MANAGE)
    )


def _acts_in(caller: Principal, terms: CampaignTerms, scope: Scope) -> bool:
    """Return True for the leader of a group-buy, and for staff with the scope."""
    if caller.kind == LOCAL_KIND:
        return True
    if terms.tenant != caller.tenant:
        return False
    leads = terms.leader is not None and terms.leader == caller.subject
    return (leads or caller.may(scope)) and sees_campaign(caller, terms.campaign, terms.community)


def _leads(caller: Principal, terms: Terms) -> bool:
    """Return True for the leader of the group-buy that an order or join is of."""
    return terms.leader is not None and terms.leader == caller.subject and _in_bounds(caller, terms)


def _in_bounds(caller: Principal, terms: Terms) -> bool:
    """Return True if an order or join is of the caller's tenant and communities, and of its group-buys if of any."""
    if terms.tenant != caller.tenant:
        return False
    if terms.campaign is not None:
        return sees_campaign(caller, terms.campaign, terms.community)
    return caller.bounds.permit("communities", terms.community)


def _manages(caller: Principal, terms: Terms, scope: Scope) -> bool:
    return caller.may(scope) and _in_bounds(caller, terms)
