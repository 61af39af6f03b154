"""Rights on orders and group-buys between tenants: those of another tenant do not exist, whatever the scopes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.scopes import Scope
from contracts.values import MAIN_TENANT, Principal
from services.orders.domain import access
from tests.contract.stores.test_campaigns_store import campaign
from tests.unit.orders_given import an_order

TERMS = replace(an_order().terms, owner="resident.1", leader="leader.li", campaign=None)


@pytest.mark.parametrize(("tenant", "allowed"), [(MAIN_TENANT, True), ("west", False)])
def test_staff_and_leaders_act_within_their_tenant(tenant: str, allowed: bool) -> None:
    admin = Principal("staff.1", "staff", frozenset(Scope), tenant=tenant)
    leader = Principal("leader.li", "leader", frozenset({Scope.CAMPAIGN_WRITE}), tenant=tenant)
    for caller in (admin, leader):
        assert access.may_read(caller, TERMS) is allowed
        assert access.may_withdraw(caller, TERMS) is allowed
    assert access.sees_person(admin, TERMS) is allowed
    assert access.may_cancel(admin, TERMS) is allowed
    terms = replace(campaign(1).terms, tenant=MAIN_TENANT)
    assert access.sees_joins(admin, terms) is allowed
    assert access.may_relay(leader, terms) is allowed
