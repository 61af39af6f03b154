"""Object level authorisation of orders (OWASP API1:2023): an order belongs to the subject that placed it, and is not
distinguishable from one that does not exist for everyone else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.orders.app import SERVICE
from tests.integration.callers import Callers, same_as_unknown
from tests.integration.orders_world import Orders, an_order, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack
ANNA, BO = "resident.anna", "resident.bo"
HERE, ELSEWHERE = {"communities": ["qifeng"]}, {"communities": ["xincheng"]}
PICKUP = {"kind": "pickup", "point": "gate"}


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as found:
        yield found


@pytest.fixture
def callers(orders: Orders) -> Callers:
    return Callers(SERVICE, orders.context)


async def place(callers: Callers, who: str = ANNA, **more: Any) -> str:
    status, order = await callers.call(who, "POST", "/orders", an_order(payment="pending", **more))
    assert status == 201, order
    return str(order["order_id"])


async def test_the_owner_sees_the_person_and_nobody_else_sees_the_order(callers: Callers) -> None:
    order, unknown = await place(callers), str(uuid4())
    status, own = await callers.call(ANNA, "GET", f"/orders/{order}")
    assert (status, own["recipient"]["name"], len(own["code"])) == (200, "李姐", 6)
    for path in ("", "/history"):
        for who in (BO, "courier.c1", "terminal.stall-1", "leader.l1", "payment.wx"):
            foreign = await callers.call(who, "GET", f"/orders/{order}{path}", points=["elsewhere"])
            missing = await callers.call(who, "GET", f"/orders/{unknown}{path}", points=["elsewhere"])
            same_as_unknown(foreign, missing, (order, unknown))


async def test_only_the_owner_and_staff_of_the_community_cancel(callers: Callers) -> None:
    order, unknown = await place(callers), str(uuid4())
    foreign = await callers.call(BO, "POST", f"/orders/{order}:cancel")
    same_as_unknown(foreign, await callers.call(BO, "POST", f"/orders/{unknown}:cancel"), (order, unknown))
    assert (await callers.call("staff.admin", "POST", f"/orders/{order}:cancel", **ELSEWHERE))[0] == 404
    assert (await callers.call(ANNA, "GET", f"/orders/{order}"))[1]["state"] == "placed"
    assert (await callers.call(ANNA, "POST", f"/orders/{order}:cancel"))[1]["state"] == "cancelling"
    other = await place(callers)
    assert (await callers.call("staff.admin", "POST", f"/orders/{other}:cancel", **HERE))[0] == 200


async def test_an_id_or_key_of_another_subject_gives_nothing_away(orders: Orders, callers: Callers) -> None:
    id = str(uuid4())
    order = await place(callers, order_id=id)
    body = an_order(payment="pending", order_id=id)
    assert (await callers.call(ANNA, "POST", "/orders", body))[0] == 201
    status, problem = await callers.call(BO, "POST", "/orders", body)
    assert (status, order) == (409, id)
    assert "code" not in problem or problem["code"] == "conflict"
    own, foreign = [
        await callers.call(who, "POST", "/orders", an_order(payment="pending"), key="basket-7") for who in (ANNA, BO)
    ]
    assert own[0] == foreign[0] == 201
    assert own[1]["order_id"] != foreign[1]["order_id"]
    again = await callers.call(ANNA, "POST", "/orders", an_order(payment="pending"), key="basket-7")
    assert again == own
    owners = await orders.context.pool.fetch("select distinct owner from orders order by owner")
    assert [row["owner"] for row in owners] == [ANNA, BO]
    assert await orders.context.pool.fetchval("select count(*) from order_conflict") == 0


async def test_the_first_ten_contents_under_an_id_are_kept_and_the_others_counted(
    orders: Orders, callers: Callers
) -> None:
    id = await place(callers, order_id=str(uuid4()))
    for n in range(13):
        other = an_order(payment="pending", order_id=id, lines=[{"item": "honey", "quantity": 10 + n % 12}])
        assert (await callers.call(ANNA, "POST", "/orders", other))[0] == 409
        assert (await callers.call(BO, "POST", "/orders", other))[0] == 409
    rows = await orders.context.pool.fetch("select body->'lines'->0->>'quantity' as n, seen from order_conflict")
    counted = {None: 2, "10": 2} | {str(n): 1 for n in range(11, 20)}
    assert {row["n"]: row["seen"] for row in rows} == counted


@pytest.mark.parametrize(("payment", "refusal"), [("prepaid", 422), ("on_account", 409)])
async def test_a_buyer_does_not_say_that_an_order_is_paid(callers: Callers, payment: str, refusal: int) -> None:
    status, problem = await callers.call(ANNA, "POST", "/orders", an_order(payment=payment))
    assert (status, problem["errors"][0]["pointer"]) == (refusal, "#/payment")
    _, answers = await callers.call(ANNA, "POST", "/orders:batch", [an_order(payment=payment)])
    assert [answer["status"] for answer in answers["answers"]] == [refusal]
    order = await place(callers)
    paid = {"payment_id": "p1", "amount_fen": 1200}
    assert (await callers.call(ANNA, "POST", f"/orders/{order}:pay", paid))[0] == 403
    assert (await callers.call("payment.wx", "POST", f"/orders/{order}:pay", paid))[0] == 200
    assert (await callers.call("staff.finance", "POST", f"/orders/{order}:refund", **ELSEWHERE))[0] == 404


async def test_staff_read_the_orders_of_their_communities(callers: Callers) -> None:
    order = await place(callers)
    status, found = await callers.call("staff.desk", "GET", f"/orders/{order}", **HERE)
    assert (status, found["recipient"]["name"]) == (200, "李姐")
    assert "recipient" not in (await callers.call("staff.finance", "GET", f"/orders/{order}", **HERE))[1]
    assert (await callers.call("staff.desk", "GET", f"/orders/{order}", **ELSEWHERE))[0] == 404
    for bounds, ids in ((HERE, [order]), (ELSEWHERE, [])):
        listed = await callers.call("staff.desk", "GET", "/orders", **bounds)
        assert [row["order_id"] for row in listed[1]["items"]] == ids


async def test_a_leader_hands_over_at_her_own_points(orders: Orders, callers: Callers) -> None:
    order = await place(callers, fulfilment=PICKUP)
    code = (await callers.call(ANNA, "GET", f"/orders/{order}"))[1]["code"]
    for action, body in (("ready", None), ("collect", {"code": code})):
        foreign = await callers.call("leader.l1", "POST", f"/orders/{order}:{action}", body, points=["elsewhere"])
        assert (foreign[0], foreign[1]["detail"]) == (404, f"order {order} does not exist")
        own = await callers.call("leader.l1", "POST", f"/orders/{order}:{action}", body, points=["gate"])
        assert own[0] == 409  # it is not reserved yet, which its leader may know
    assert (await callers.call(ANNA, "POST", f"/orders/{order}:collect", {"code": code}))[0] == 404
    assert await orders.state(UUID(order)) == "placed"


async def test_only_staff_of_the_community_erase(callers: Callers) -> None:
    order = await place(callers)
    body = {"why": "asked by the buyer"}
    assert (await callers.call("staff.admin", "POST", f"/orders/{order}:erase", body, **ELSEWHERE))[0] == 404
    assert (await callers.call("staff.admin", "POST", f"/orders/{order}:erase", body, **HERE))[0] == 409
