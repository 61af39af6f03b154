"""Goods on account need the credit of the member, which is of one subject; members are seen within bounds."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.orders.commands import members as command
from services.orders.domain.member import Account
from tests.integration.callers import Callers, same_as_unknown
from tests.integration.campaign_world import a_join, open_one
from tests.integration.orders_world import Orders, an_order
from tests.integration.test_members import callers as callers
from tests.integration.test_members import orders as orders

pytestmark = pytest.mark.stack
ANNA, BO = "resident.anna", "resident.bo"
HERE, ELSEWHERE = {"communities": ["qifeng"]}, {"communities": ["xincheng"]}
TOTAL = 1200


async def member_of(callers: Callers, who: str = ANNA) -> str:
    """The member of an order that the subject has placed."""
    status, order = await callers.call(who, "POST", "/orders", an_order(payment="pending"))
    assert status == 201, order
    _, view = await callers.call("staff.finance", "GET", f"/orders/{order['order_id']}", **HERE)
    return str(view["member"])


async def allow(callers: Callers, member: str, limit: int = 2 * TOTAL, subject: str = ANNA) -> None:
    body = {"allowed": True, "limit_fen": limit, "holder": subject}
    status, view = await callers.call("staff.finance", "PUT", f"/members/{member}:credit", body, **HERE)
    assert (status, view["credit"]) == (200, body)


async def on_account(callers: Callers, who: str = ANNA, **more: Any) -> tuple[int, Any]:
    return await callers.call(who, "POST", "/orders", an_order(payment="on_account", **more))


async def test_goods_on_account_need_the_credit_of_the_caller_s_own_member(callers: Callers):
    unknown = await on_account(callers)
    member = await member_of(callers)
    without = await on_account(callers)
    await allow(callers, member)
    of_another = await on_account(callers, BO)
    for status, problem in (unknown, without, of_another):
        assert (status, problem["code"], problem["errors"][0]["pointer"]) == (409, "no-credit", "#/payment")
    assert unknown == without
    assert (await on_account(callers))[0] == 201
    stranger = await on_account(callers, recipient={"name": "王姐", "phone": "13900000001"})
    assert (stranger[0], stranger[1]["code"]) == (409, "no-credit")
    off = {"allowed": False}
    assert (await callers.call("staff.finance", "PUT", f"/members/{member}:credit", off))[1]["credit"]["holder"] is None
    assert (await on_account(callers))[1]["code"] == "no-credit"


async def test_no_more_is_owed_than_the_limit(orders: Orders, callers: Callers):
    member = await member_of(callers)
    await allow(callers, member, 2 * TOTAL)
    found = await asyncio.gather(*(on_account(callers) for _ in range(6)))
    assert sorted(status for status, _ in found) == [201, 201, 409, 409, 409, 409]
    assert {problem["code"] for status, problem in found if status == 409} == {"credit-exceeded"}
    _, answers = await callers.call(ANNA, "POST", "/orders:batch", [an_order(payment="on_account")] * 2)
    assert [answer["status"] for answer in answers["answers"]] == [409, 409]
    _, view = await callers.call("staff.finance", "GET", f"/members/{member}", **HERE)
    assert view["owed_fen"] == 2 * TOTAL
    placed = next(order["order_id"] for status, order in found if status == 201)
    paid = {"payment_id": "p1", "amount_fen": TOTAL}
    assert (await callers.call("staff.finance", "POST", f"/orders/{placed}:pay", paid))[0] == 200
    assert (await on_account(callers))[0] == 201


async def test_a_repeat_of_an_order_on_account_is_answered_as_before(callers: Callers):
    await allow(callers, await member_of(callers), TOTAL)
    id = str(uuid4())
    first, again = [await on_account(callers, order_id=id) for _ in range(2)]
    assert first == again
    assert first[0] == 201


async def test_a_pledge_on_account_needs_a_credit_too(orders: Orders, callers: Callers):
    campaign = await open_one(orders)
    path, body = f"/campaigns/{campaign.id}/joins", a_join(0, payment="on_account")
    assert (await callers.call(ANNA, "POST", path, body))[1]["code"] == "no-credit"
    await allow(callers, await member_of(callers), 1500)
    found = [await callers.call(ANNA, "POST", path, body) for _ in range(2)]
    assert [status for status, _ in found] == [201, 409]
    assert found[1][1]["code"] == "credit-exceeded"
    assert (await on_account(callers))[1]["code"] == "credit-exceeded"
    assert (await campaign.shown())["joins"] == 1


async def test_local_tokens_order_on_account_as_before(orders: Orders):
    assert await orders.place(payment="on_account")


async def test_members_are_seen_within_bounds_and_say_nothing_of_the_person(orders: Orders, callers: Callers):
    member = await member_of(callers)
    for who in ("staff.finance", "staff.desk"):
        _, page = await callers.call(who, "GET", "/members?community=qifeng", **HERE)
        assert [one["member_id"] for one in page["items"]] == [member]
        assert not {"name", "phone", "phone_hash"} & set(json.dumps(page).replace('"', " ").split())
        assert (await callers.call(who, "GET", "/members?community=qifeng", **ELSEWHERE))[1]["items"] == []
        unknown = f"member.{uuid4()}"
        foreign, missing = [await callers.call(who, "GET", f"/members/{id}", **ELSEWHERE) for id in (member, unknown)]
        same_as_unknown(foreign, missing, (member, unknown))
    body = {"allowed": True, "limit_fen": 5, "holder": ANNA}
    assert (await callers.call("staff.finance", "PUT", f"/members/{member}:credit", body, **ELSEWHERE))[0] == 404
    assert (await callers.call("staff.desk", "PUT", f"/members/{member}:credit", body, **HERE))[0] == 403
    assert (await callers.call(ANNA, "GET", f"/members/{member}"))[0] == 403
    for wrong in ({"allowed": True}, {"allowed": "yes"}, {"allowed": True, "holder": "anna"}, {"limit_fen": 1}):
        assert (await callers.call("staff.finance", "PUT", f"/members/{member}:credit", wrong))[0] == 422
    acts = await orders.context.pool.fetch("select subject, action from access_log where action = 'credit'")
    assert acts == []


async def test_a_credit_is_on_record(orders: Orders, callers: Callers):
    member = await member_of(callers)
    for _ in range(2):
        await allow(callers, member)
    acts = await orders.context.pool.fetch("select subject, action, record from access_log where action = 'credit'")
    assert [tuple(row) for row in acts] == [
        ("staff.finance", "credit", f"member/{UUID(member.removeprefix('member.'))}")
    ]


async def test_the_owner_of_an_order_is_not_told_its_member(callers: Callers):
    _, order = await callers.call(ANNA, "POST", "/orders", an_order(payment="pending"))
    assert "member" not in (await callers.call(ANNA, "GET", f"/orders/{order['order_id']}"))[1]


@pytest.mark.seeded
async def test_a_credit_for_whoever_names_the_phone_is_noticed(callers: Callers, monkeypatch: pytest.MonkeyPatch):
    def check(account: Account | None, _subject: str, _total_fen: int) -> Any:
        return None if account and account.credit.allowed else check_credit(None, "", 0)

    check_credit = command.check_credit
    monkeypatch.setattr(command, "check_credit", check)
    with pytest.raises((AssertionError, KeyError)):
        await test_goods_on_account_need_the_credit_of_the_caller_s_own_member(callers)


@pytest.mark.seeded
async def test_an_account_that_is_not_charged_is_noticed(
    orders: Orders, callers: Callers, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("services.orders.repository.postgres_member._OWED", "select $1::uuid[], $2::text[] limit 0")
    with pytest.raises((AssertionError, KeyError)):
        await test_no_more_is_owed_than_the_limit(orders, callers)
