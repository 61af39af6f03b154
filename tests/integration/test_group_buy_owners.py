"""Object level authorisation of group-buys (OWASP API1:2023): a group-buy is its leader's, a join its owner's, and
neither is distinguishable from one that does not exist for those who may not act on it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import pytest

from contracts.events import inventory as i
from services.orders.app import SERVICE
from services.orders.domain.campaign.verdict import replay
from tests.integration.callers import Callers, same_as_unknown
from tests.integration.campaign_world import PRICES, Campaigns, a_campaign, a_join
from tests.integration.orders_world import Orders, an_order, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack
LI, MA = "leader.li", "leader.ma"
ANNA, BO = "resident.anna", "resident.bo"
HERE, ELSEWHERE = {"communities": ["qifeng"]}, {"communities": ["xincheng"]}
STRANGERS: tuple[tuple[str, dict[str, list[str]]], ...] = (
    (BO, {}),
    (MA, HERE),
    (LI, ELSEWHERE),
    (LI, {"campaigns": ["another"]}),
    ("staff.desk", ELSEWHERE),
    ("staff.intake", HERE),
    ("terminal.t1", {}),
)
"""Callers who have nothing to do with Anna's join in Li's group-buy."""


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as found:
        yield found


@pytest.fixture
def callers(orders: Orders) -> Callers:
    return Callers(SERVICE, orders.context)


async def opened(orders: Orders, callers: Callers, **more: Any) -> Campaigns:
    """A group-buy of leader Li."""
    for path, body in PRICES.items():
        assert (await orders.put(path, body)).status_code == 200
    status, view = await callers.call(LI, "POST", "/campaigns", a_campaign(**more), **HERE)
    assert status == 201, view
    return Campaigns(orders, UUID(view["campaign_id"]))


async def joined(callers: Callers, campaign: Campaigns, who: str, caller: int = 1, **more: Any) -> str:
    body = a_join(caller, payment="pending", **more)
    status, join = await callers.call(who, "POST", f"/campaigns/{campaign.id}/joins", body)
    assert status == 201, join
    return str(join["join_id"])


async def test_a_leader_opens_within_her_communities(orders: Orders, callers: Callers) -> None:
    campaign = await opened(orders, callers, campaign_id=str(uuid4()))
    here, nowhere = a_campaign(), a_campaign(community="nowhere")
    foreign, unknown = [await callers.call(LI, "POST", "/campaigns", body, **ELSEWHERE) for body in (here, nowhere)]
    assert foreign[0] == unknown[0] == 422
    assert json.dumps(foreign[1]).replace("qifeng", "nowhere") == json.dumps(unknown[1])
    assert (await callers.call(LI, "POST", "/campaigns", here, campaigns=["another"]))[0] == 422
    assert (await callers.call("staff.desk", "POST", "/campaigns", here, **HERE))[0] == 201
    again = a_campaign(campaign_id=str(campaign.id))
    assert (await callers.call(LI, "POST", "/campaigns", again, **HERE))[0] == 201
    assert (await callers.call(MA, "POST", "/campaigns", again, **HERE))[0] == 409
    assert await orders.context.pool.fetchval("select count(*) from campaign_conflict") == 0
    keyed = [(await callers.call(who, "POST", "/campaigns", here, key="monday", **HERE))[1] for who in (LI, LI, MA)]
    assert keyed[0] == keyed[1]
    assert keyed[0]["campaign_id"] != keyed[2]["campaign_id"]


async def test_a_campaign_is_seen_within_the_bounds_of_its_caller(orders: Orders, callers: Callers) -> None:
    campaign, unknown = await opened(orders, callers), str(uuid4())
    assert (await callers.call(ANNA, "GET", f"/campaigns/{campaign.id}"))[0] == 200
    for bounds in (ELSEWHERE, {"campaigns": ["another"]}):
        for method, path, body in (("GET", "", None), ("GET", "/verdict", None), ("POST", "/joins", a_join(1))):
            body = body and body | {"payment": "pending"}
            foreign = await callers.call(ANNA, method, f"/campaigns/{campaign.id}{path}", body, **bounds)
            missing = await callers.call(ANNA, method, f"/campaigns/{unknown}{path}", body, **bounds)
            same_as_unknown(foreign, missing, (str(campaign.id), unknown))
    assert (await campaign.shown())["joins"] == 0


async def test_a_join_is_its_owners_its_leaders_and_staffs(orders: Orders, callers: Callers) -> None:
    campaign, unknown = await opened(orders, callers), str(uuid4())
    join = await joined(callers, campaign, ANNA)
    path = f"/campaigns/{campaign.id}/joins"
    for who, bounds in ((ANNA, {}), (LI, HERE), ("staff.desk", HERE), ("staff.finance", HERE)):
        status, found = await callers.call(who, "GET", f"{path}/{join}", **bounds)
        assert (status, found["join_id"]) == (200, join), who
    for who, bounds in STRANGERS:
        answers = [await callers.call(who, "GET", f"{path}/{id}", **bounds) for id in (join, unknown)]
        same_as_unknown(*answers, (join, unknown))
    for who, bounds in ((BO, {}), (MA, HERE), ("staff.desk", ELSEWHERE)):
        answers = [await callers.call(who, "POST", f"{path}/{id}:cancel", **bounds) for id in (join, unknown)]
        if answers[0][0] != 403:  # staff of the desk withdraw, but not for other communities
            same_as_unknown(*answers, (join, unknown))
    assert (await callers.call(ANNA, "GET", f"{path}/{join}"))[1]["state"] == "pledged"
    assert (await callers.call(ANNA, "POST", f"{path}/{join}:cancel"))[1]["state"] == "withdrawn"
    for who in (LI, "staff.admin"):
        other = await joined(callers, campaign, BO)
        assert (await callers.call(who, "POST", f"{path}/{other}:cancel", **HERE))[1]["state"] == "withdrawn"


async def test_only_its_leader_and_staff_list_the_joins(orders: Orders, callers: Callers) -> None:
    campaign, unknown = await opened(orders, callers), str(uuid4())
    join = await joined(callers, campaign, ANNA)
    for who in (LI, "staff.desk"):
        listed = await callers.call(who, "GET", f"/campaigns/{campaign.id}/joins", **HERE)
        assert [one["join_id"] for one in listed[1]["items"]] == [join]
    for who, bounds in ((MA, HERE), (LI, ELSEWHERE), ("staff.desk", ELSEWHERE)):
        answers = [await callers.call(who, "GET", f"/campaigns/{id}/joins", **bounds) for id in (campaign.id, unknown)]
        same_as_unknown(*answers, (str(campaign.id), unknown))
    assert (await callers.call(BO, "GET", f"/campaigns/{campaign.id}/joins"))[0] == 403


async def test_a_join_id_or_key_of_another_member_gives_nothing_away(orders: Orders, callers: Callers) -> None:
    campaign = await opened(orders, callers)
    path, body = f"/campaigns/{campaign.id}/joins", a_join(1, payment="pending")
    named = body | {"join_id": await joined(callers, campaign, ANNA)}
    other = named | {"lines": [{"item": "honey", "quantity": 3}]}
    statuses = [(await callers.call(who, "POST", path, one))[0] for who in (ANNA, BO) for one in (named, other)]
    assert statuses == [201, 409, 409, 409]
    assert await orders.context.pool.fetchval("select count(*) from campaign_conflict") == 1
    first, again, other = [await callers.call(who, "POST", path, body, key="tonight") for who in (ANNA, ANNA, BO)]
    assert first == again
    assert first[1]["join_id"] != other[1]["join_id"]
    owners = await orders.context.pool.fetch("select owner, leader from campaign_join order by n")
    assert [tuple(row) for row in owners] == [(ANNA, LI), (ANNA, LI), (BO, LI)]


@pytest.mark.parametrize(("payment", "refusal"), [("prepaid", 422), ("on_account", 409)])
async def test_a_member_does_not_say_that_a_join_is_paid(
    orders: Orders, callers: Callers, payment: str, refusal: int
) -> None:
    campaign = await opened(orders, callers)
    body = a_join(1, payment=payment)
    status, problem = await callers.call(ANNA, "POST", f"/campaigns/{campaign.id}/joins", body)
    assert status == refusal
    assert problem["errors"][0]["pointer"] == "#/payment"
    pasted = {"chat": "c1", "entries": [{"entry": 1, **body}]}
    _, answers = await callers.call(LI, "POST", f"/campaigns/{campaign.id}/relay", pasted, **HERE)
    assert [answer["status"] for answer in answers["answers"]] == [refusal]


async def test_one_account_is_one_person_whatever_phones_it_names(orders: Orders, callers: Callers) -> None:
    campaign = await opened(orders, callers)
    for caller in range(3):
        await joined(callers, campaign, ANNA, caller)
    assert (await campaign.shown())["people"] == 1


async def test_only_its_leader_relays_a_list_and_its_entries_have_secret_ids(orders: Orders, callers: Callers) -> None:
    campaign, unknown = await opened(orders, callers), str(uuid4())
    entries = [{"entry": n, **a_join(n, payment="pending")} for n in (1, 2)]
    path, pasted = f"/campaigns/{campaign.id}/relay", {"chat": "qifeng-3", "entries": entries}
    for who, bounds in ((MA, HERE), (LI, ELSEWHERE), ("staff.desk", ELSEWHERE)):
        foreign = await callers.call(who, "POST", path, pasted, **bounds)
        missing = await callers.call(who, "POST", f"/campaigns/{unknown}/relay", pasted, **bounds)
        same_as_unknown(foreign, missing, (str(campaign.id), unknown))
    assert (await campaign.shown())["joins"] == 0
    first, again, staff = [
        await callers.call(who, "POST", path, pasted, **HERE) for who in (LI, LI, "staff.desk")
    ]  # counted once, whoever sends the list
    assert first == again == staff
    ids = [answer["join_id"] for answer in first[1]["answers"]]
    public = uuid5(NAMESPACE_URL, "halfday:chat-entry")
    assert not {str(uuid5(public, f"{campaign.id}/qifeng-3/{n}")) for n in (1, 2)} & set(ids)
    other = await opened(orders, callers)
    elsewhere = await callers.call(LI, "POST", f"/campaigns/{other.id}/relay", pasted, **HERE)
    assert not {answer["join_id"] for answer in elsewhere[1]["answers"]} & set(ids)
    assert await orders.context.pool.fetchval("select count(owner) from campaign_join") == 0
    assert (await callers.call(MA, "POST", f"/campaigns/{campaign.id}/joins/{ids[0]}:cancel", **HERE))[0] == 404
    assert (await callers.call(LI, "POST", f"/campaigns/{campaign.id}/joins/{ids[0]}:cancel", **HERE))[0] == 200


async def test_a_list_of_a_campaign_of_before_goes_on_with_its_ids(orders: Orders, callers: Callers) -> None:
    campaign = await opened(orders, callers)
    await orders.context.pool.execute("update campaign set chat_key = null")
    pasted = {"chat": "c1", "entries": [{"entry": 1, **a_join(payment="pending")}]}
    _, answers = await callers.call(LI, "POST", f"/campaigns/{campaign.id}/relay", pasted, **HERE)
    expected = uuid5(uuid5(NAMESPACE_URL, "halfday:chat-entry"), f"{campaign.id}/c1/1")
    assert answers["answers"][0]["join_id"] == str(expected)


async def test_a_verdict_names_no_joins_of_others(orders: Orders, callers: Callers) -> None:
    campaign = await opened(orders, callers)
    joins = [await joined(callers, campaign, who, n) for n, who in enumerate((ANNA, BO))]
    await campaign.cut()
    await campaign.grant(honey=3)
    path = f"/campaigns/{campaign.id}/verdict"
    whole = [(await callers.call(who, "GET", path, **HERE))[1] for who in (LI, "staff.desk", "staff.finance")]
    assert whole[0] == whole[1] == whole[2]
    assert [pledge["join"] for pledge in whole[0]["inputs"]["pledges"]] == joins
    assert json.loads(replay(json.dumps(whole[0]["inputs"]).encode())) == whole[0]["verdict"]
    for who, own in ((ANNA, 0), (BO, 1), ("resident.cy", None), (MA, None), ("courier.c1", None)):
        status, seen = await callers.call(who, "GET", path)
        assert status == 200
        assert [p.get("join") for p in seen["inputs"]["pledges"]] == [
            j if n == own else None for n, j in enumerate(joins)
        ]
        assert [n for n, p in enumerate(seen["inputs"]["pledges"]) if "member" in p] == [n for n in (0, 1) if n == own]
        shares = seen["verdict"]["shares"]
        assert [(share["n"], share.get("join"), share["granted"]) for share in shares] == [
            (n + 1, joins[n] if n == own else None, granted) for n, granted in enumerate((2, 1))
        ]
        hidden = [join for n, join in enumerate(joins) if n != own]
        assert not [join for join in hidden if join in json.dumps(seen)]


async def test_an_order_of_a_join_is_its_owners_and_its_leader_hands_it_over(orders: Orders, callers: Callers) -> None:
    campaign = await opened(orders, callers)
    join = await joined(callers, campaign, ANNA)
    entry = {"entry": 1, **a_join(2, payment="pending", fulfilment=an_order()["fulfilment"])}
    await callers.call(LI, "POST", f"/campaigns/{campaign.id}/relay", {"chat": "c", "entries": [entry]}, **HERE)
    await campaign.cut()
    await campaign.grant(honey=4)
    await orders.sweep()
    found = await callers.call(LI, "GET", f"/campaigns/{campaign.id}/joins", **HERE)
    order, relayed = [one["order_id"] for one in found[1]["items"]]
    assert (await callers.call(ANNA, "GET", f"/campaigns/{campaign.id}/joins/{join}"))[1]["order_id"] == order
    status, own = await callers.call(ANNA, "GET", f"/orders/{order}")
    assert (status, own["recipient"]["name"], own["payment"]) == (200, "李姐", "pending")
    for who, bounds in ((BO, {}), (MA, HERE | {"points": ["elsewhere"]})):
        assert (await callers.call(who, "GET", f"/orders/{order}", **bounds))[0] == 404
    leaders = (await callers.call(LI, "GET", f"/orders/{order}", **HERE, points=["elsewhere"]))[1]
    assert [leaders.get(name) for name in ("order_id", "code", "recipient")] == [order, None, None]

    (ask, *_) = [one for one in await orders.published("inventory.command.v1") if str(one.order) == order]  # type: ignore[attr-defined]
    assert (ask.firm, ask.ttl_s, ask.source) == (False, 7200, campaign.claim["reservation"])  # type: ignore[attr-defined]
    claim = {"reservation": ask.reservation, "pool": ask.pool, "order": ask.order}  # type: ignore[attr-defined]
    await orders.hear(i.StockReserved(**claim, firm=False, lines=ask.lines, expires_at=orders.clock.now()))  # type: ignore[attr-defined]
    paid = {"payment_id": "p1", "amount_fen": own["total_fen"]}
    assert (await callers.call("payment.wx", "POST", f"/orders/{order}:pay", paid))[0] == 200
    await orders.hear(i.StockCommitted(**claim))
    assert (await callers.call(MA, "POST", f"/orders/{order}:ready", **HERE, points=["elsewhere"]))[0] == 404
    assert (await callers.call(LI, "POST", f"/orders/{order}:ready", **HERE))[1]["state"] == "ready"
    done = await callers.call(LI, "POST", f"/orders/{order}:collect", {"code": own["code"]}, **HERE)
    assert done[1]["state"] == "collected"

    assert (await callers.call(LI, "POST", f"/orders/{order}:cancel", **HERE))[0] == 404  # Anna cancels her own
    assert (await callers.call(MA, "POST", f"/orders/{relayed}:cancel", **HERE))[0] == 404
    assert (await callers.call(LI, "POST", f"/orders/{relayed}:cancel", **HERE))[1]["state"] == "cancelling"
