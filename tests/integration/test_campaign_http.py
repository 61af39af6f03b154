"""Opening and joining over HTTP: who may, what counts, how often, until when, and what is said of persons."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from contracts.events.campaign import CampaignCut, CampaignOpened, JoinAccepted, JoinRefunded
from services.kit.errors import CommitUnknown
from services.kit.process.api import create_api
from services.kit.transaction import unit_of_work
from services.orders.app import SERVICE
from tests.integration.campaign_world import CLOSES, a_campaign, a_join, open_one
from tests.integration.orders_world import Orders, an_order, at, open_orders
from tests.integration.test_orders_flow import counting
from tests.stack import TestStack, eventually

pytestmark = pytest.mark.stack


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as world:
        yield world


async def test_opening_is_told_once_and_answered_the_same(orders: Orders):
    body = a_campaign(campaign_id=str(uuid4()))
    campaign = await open_one(orders, **body)
    await campaign.join(1)
    first = await orders.post("/v1/campaigns", body, "leader")
    again = await orders.post("/v1/campaigns", body, "operator", headers={"Idempotency-Key": body["campaign_id"]})
    assert first.content == again.content
    assert first.json()["state"] == "open"
    other = await orders.post("/v1/campaigns", body | {"shortfall": "at-least-one-each"}, "leader")
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert await orders.context.pool.fetchval("select count(*) from campaign_conflict") == 1
    opened = [e for e in await orders.published("orders.campaign.v1") if isinstance(e, CampaignOpened)]
    assert [(e.campaign, e.pool, e.closes_at, e.goods[1].cap) for e in opened] == [
        (campaign.id, "sat@square", CLOSES, 50_000)
    ]


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"market_day": "sun"}, 422, "#/market_day"),
        ({"community": "xincheng"}, 422, "#/community"),
        ({"closes_at": at(8)}, 422, "#/closes_at"),
        ({"closes_at": at(0)}, 409, "#/closes_at"),
        ({"closes_at": "2024-11-02T03:00:00"}, 422, "#/closes_at"),
        ({"goods": [{"item": "gold", "quantity": 1}]}, 422, "#/goods/0/item"),
        ({"goods": [{"item": "tofu", "quantity": 1}]}, 422, "#/goods/0/quantity"),
        ({"goods": [{"item": "honey", "quantity": 1}] * 2}, 422, "#"),
        ({"goods": []}, 422, "#/goods"),
        ({"threshold": {"of": "quantity", "at_least": 1}}, 422, "#/threshold/of"),
        ({"threshold": {"of": "people", "at_least": 0}}, 422, "#/threshold/at_least"),
        ({"threshold": {"of": "friends", "at_least": 1}}, 422, "#/threshold/of"),
        ({"shortfall": "lottery"}, 422, "#/shortfall"),
        ({"robots": 40}, 422, "#/robots"),
    ],
)
async def test_a_campaign_that_cannot_be(orders: Orders, change: dict[str, Any], status: int, pointer: str):
    await open_one(orders)
    answer = await orders.post("/v1/campaigns", a_campaign(**change), "leader")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (status, pointer), answer.text


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"lines": [{"item": "gold", "quantity": 1}]}, 422, "#/lines/0/item"),
        ({"lines": [{"item": "tofu", "quantity": 1}]}, 422, "#/lines/0/quantity"),
        ({"lines": [{"item": "honey", "quantity": 101}]}, 409, "#/lines/0"),
        ({"lines": [{"item": "honey", "quantity": 1}] * 2}, 422, "#"),
        ({"fulfilment": {"kind": "pickup", "point": "nowhere"}}, 422, "#/fulfilment/point"),
    ],
)
async def test_a_join_that_cannot_be(orders: Orders, change: dict[str, Any], status: int, pointer: str):
    campaign = await open_one(orders)
    answer = await orders.post(f"/v1/campaigns/{campaign.id}/joins", a_join(**change))
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (status, pointer), answer.text
    assert await campaign.published() == ["CampaignOpened"]


async def test_an_item_of_the_catalogue_that_is_not_offered(orders: Orders):
    campaign = await open_one(orders, goods=[{"item": "honey", "quantity": 5}])
    body = a_join(lines=[{"item": "tofu", "weight_g": 500}])
    answer = await orders.post(f"/v1/campaigns/{campaign.id}/joins", body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/lines/0/item")


async def test_roles_and_unknown_campaigns(orders: Orders):
    campaign, nobody = await open_one(orders), uuid4()
    assert (await orders.post("/v1/campaigns", a_campaign())).status_code == 403
    assert (await orders.post(f"/v1/campaigns/{campaign.id}/joins", a_join(), "courier")).status_code == 403
    assert (await orders.get(f"/v1/campaigns/{campaign.id}/joins")).status_code == 403
    assert (await orders.post(f"/v1/campaigns/{nobody}/joins", a_join())).status_code == 404
    for path in ("", "/verdict", f"/joins/{nobody}"):
        assert (await orders.get(f"/v1/campaigns/{nobody}{path}")).status_code == 404
    assert (await orders.get(f"/v1/campaigns/{campaign.id}/joins/{nobody}")).status_code == 404
    assert (await orders.post(f"/v1/campaigns/{campaign.id}/joins/{nobody}:cancel")).status_code == 404


async def test_a_join_counts_once_and_is_answered_the_same_also_after_the_cutoff(orders: Orders):
    campaign = await open_one(orders)
    path, body = f"/v1/campaigns/{campaign.id}/joins", a_join(join_id=str(uuid4()))
    answers = await asyncio.gather(*(orders.post(path, body) for _ in range(5)))
    await campaign.cut()
    answers.append(await orders.post(path, body))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    other = await orders.post(path, body | {"payment": "prepaid"})
    assert other.status_code == 409
    elsewhere = await orders.post(f"/v1/campaigns/{(await open_one(orders, closes_at=at(3))).id}/joins", body)
    assert elsewhere.status_code == 409
    assert await orders.context.pool.fetchval("select count(*) from campaign_conflict") == 2
    assert (await campaign.published()).count("JoinAccepted") == 1


async def test_until_the_last_moment_and_not_after(orders: Orders):
    campaign = await open_one(orders)
    path = f"/v1/campaigns/{campaign.id}/joins"
    orders.clock.set(CLOSES - timedelta(milliseconds=100))
    assert (await orders.post(path, a_join(1))).status_code == 201
    orders.clock.set(CLOSES)
    late = await orders.post(path, a_join(2))
    assert (late.status_code, late.json()["code"]) == (409, "campaign-closed")
    assert (await campaign.shown())["state"] == "open"  # the sweeper has not come by yet
    assert (await campaign.shown())["joins"] == 1


async def test_the_clock_is_read_under_the_lock(orders: Orders):
    campaign = await open_one(orders)
    orders.clock.set(CLOSES - timedelta(milliseconds=100))
    async with orders.context.pool.acquire() as other, other.transaction():
        await other.execute("select from campaign where campaign_id = $1 for update", campaign.id)
        join = asyncio.create_task(orders.post(f"/v1/campaigns/{campaign.id}/joins", a_join()))
        waiting = (
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
        await eventually(lambda: orders.context.pool.fetchval(waiting))
        orders.clock.set(CLOSES)
    assert (await join).status_code == 409
    assert await campaign.published() == ["CampaignOpened"]


async def test_the_cut_waits_for_the_joins_before_it_and_counts_them(orders: Orders):
    campaign = await open_one(orders)
    asks = [orders.post(f"/v1/campaigns/{campaign.id}/joins", a_join(n, 1)) for n in range(60)]
    running = [asyncio.create_task(ask) for ask in asks]
    await eventually(lambda: orders.context.pool.fetchval("select joined from campaign_tally"))
    await campaign.cut()
    taken = [answer.status_code for answer in await asyncio.gather(*running)]
    assert set(taken) <= {201, 409}
    published = await orders.published("orders.campaign.v1")
    (cut,) = [event for event in published if isinstance(event, CampaignCut)]
    assert (cut.joins, cut.lines[0].quantity) == (taken.count(201), taken.count(201))
    assert isinstance(published[-1], CampaignCut)


async def test_a_cap_holds_under_load_from_two_processes_and_numbers_are_the_log(orders: Orders):
    campaign = await open_one(orders, goods=[{"item": "honey", "quantity": 50}, {"item": "tofu", "weight_g": 10_000}])
    app = create_api(SERVICE, orders.context)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://orders") as client:
        worlds = (orders, Orders(orders.context, orders.clock, client))
        path = f"/v1/campaigns/{campaign.id}/joins"
        honey = [worlds[n % 2].post(path, a_join(n, 1)) for n in range(160)]
        tofu = [worlds[n % 2].post(path, a_join(n, lines=[{"item": "tofu", "weight_g": 500}])) for n in range(40)]
        answers = await asyncio.gather(*honey, *tofu)
    assert Counter(a.status_code for a in answers[:160]) == {201: 50, 409: 110}
    assert Counter(a.status_code for a in answers[160:]) == {201: 20, 409: 20}
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"cap-reached"}
    accepted = [event for event in await orders.published("orders.campaign.v1") if isinstance(event, JoinAccepted)]
    assert [event.n for event in accepted] == list(range(1, 71))
    shown = await campaign.shown()
    assert [(g.get("pledged_quantity"), g.get("pledged_weight_g")) for g in shown["goods"]] == [
        (50, None),
        (None, 10_000),
    ]


async def test_one_person_counts_once_however_the_phone_is_written(orders: Orders):
    campaign = await open_one(orders)
    for phone in ("13912345678", "139 1234 5678", "+86 139-1234-5678"):
        await campaign.join(recipient={"name": "李姐", "phone": phone})
    shown = await campaign.shown()
    assert (shown["joins"], shown["people"]) == (3, 1)
    await campaign.cut()
    await campaign.grant(honey=6)
    assert (await campaign.shown())["reason"] == "people: 1 of at least 2"


async def test_a_pledge_is_taken_back_before_the_cutoff_only(orders: Orders):
    campaign = await open_one(orders, goods=[{"item": "honey", "quantity": 3}])
    join = await campaign.join(1, 3, payment="prepaid")
    tag = (await orders.get(f"/v1/campaigns/{campaign.id}")).headers["etag"]
    assert (await orders.post(f"/v1/campaigns/{campaign.id}/joins", a_join(2, 1))).status_code == 409
    path = f"/v1/campaigns/{campaign.id}/joins/{join}:cancel"
    first, again = await orders.post(path), await orders.post(path)
    assert first.content == again.content
    assert (first.json()["state"], first.json()["refunded_fen"]) == ("withdrawn", 1500)
    assert (await orders.get(f"/v1/campaigns/{campaign.id}", headers={"If-None-Match": tag})).status_code == 200
    second = await campaign.join(2, 3)
    await campaign.cut()
    late = await orders.post(f"/v1/campaigns/{campaign.id}/joins/{second}:cancel")
    assert (late.status_code, late.json()["code"]) == (409, "campaign-closed")
    refunds = [event for event in await orders.published("orders.campaign.v1") if isinstance(event, JoinRefunded)]
    assert [(event.join, event.amount_fen, event.reason) for event in refunds] == [(join, 1500, "withdrawn")]
    assert await orders.context.pool.fetchval("select count(*) from campaign_person") == 1


async def test_a_chats_list_counts_each_entry_once_also_when_two_leaders_send_it(orders: Orders):
    campaign = await open_one(orders)
    path = f"/v1/campaigns/{campaign.id}/relay"
    entries: list[dict[str, Any]] = [{"entry": n, **a_join(n, n)} for n in range(1, 6)]
    entries[1]["lines"] = [{"item": "gold", "quantity": 1}]
    entries[2].pop("entry")
    pasted = {"chat": "qifeng-3", "entries": entries}
    first, again = await asyncio.gather(orders.post(path, pasted, "leader"), orders.post(path, pasted, "operator"))
    assert first.content == again.content
    answers = first.json()["answers"]
    assert [answer["status"] for answer in answers] == [201, 422, 422, 201, 201]
    assert answers[2]["problem"]["errors"][0]["pointer"] == "#/entry"
    entries[1] |= a_join(2, 2)
    entries[2]["entry"] = 3
    entries[3] |= a_join(4, 9)  # edited
    edited = (await orders.post(path, pasted, "leader")).json()["answers"]
    assert [answer["status"] for answer in edited] == [201, 201, 201, 409, 201]
    assert [one["n"] for one in await campaign.joins()] == [1, 2, 3, 4, 5]
    elsewhere = await orders.post(path, pasted | {"chat": "qifeng-4"}, "leader")
    assert [answer["status"] for answer in elsewhere.json()["answers"]] == [201] * 5
    assert (await orders.post(path, {"chat": "x", "entries": []}, "leader")).status_code == 422


async def test_the_person_stands_in_one_table_and_on_no_topic_before_there_is_an_order(orders: Orders):
    campaign = await open_one(orders)
    address = {"text": "2栋1单元", "lat": 28.228, "lon": 112.977}
    person = {
        "recipient": {"name": "王伟", "phone": "13811112222"},
        "fulfilment": {"kind": "delivery", "address": address},
    }
    join = await campaign.join(join_id=str(uuid4()), **person)
    await orders.post(f"/v1/campaigns/{campaign.id}/joins", a_join(honey=1, join_id=str(join), **person))
    names = await orders.context.pool.fetch(
        "select table_name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE' "
        "and table_name <> 'campaign_person'"
    )
    for row in names:
        text = await orders.context.pool.fetch(f"select t::text as row from {row['table_name']} t")
        assert not [r for r in text if any(w in r["row"] for w in ("13811112222", "王伟", "2栋"))], row["table_name"]
    payloads = await orders.context.pool.fetch("select payload from outbox")
    assert not [row for row in payloads if "王伟".encode() in row["payload"] or b"13811112222" in row["payload"]]
    shown = await orders.get(f"/v1/campaigns/{campaign.id}/joins/{join}")
    assert "王伟" not in shown.text
    assert shown.json()["order_id"] is None


@pytest.mark.parametrize("committed", [True, False])
async def test_an_unknown_outcome_is_said_and_the_repeat_is_safe(
    orders: Orders, monkeypatch: pytest.MonkeyPatch, committed: bool
):
    campaign = await open_one(orders)
    real, lost = unit_of_work._commit, [True]

    async def commit(transaction: Any) -> None:
        if lost and lost.pop():
            await (transaction.commit() if committed else transaction.rollback())
            raise CommitUnknown("lost")
        await real(transaction)

    monkeypatch.setattr(unit_of_work, "_commit", commit)
    path, body = f"/v1/campaigns/{campaign.id}/joins", a_join(join_id=str(uuid4()))
    assert (await orders.post(path, body)).status_code == 503
    assert (await orders.post(path, body)).status_code == 201
    assert (await campaign.published()).count("JoinAccepted") == 1
    assert (await campaign.shown())["goods"][0]["pledged_quantity"] == 2


async def test_an_order_and_a_join_under_one_key_do_not_meet(orders: Orders):
    campaign = await open_one(orders, threshold={"of": "people", "at_least": 1})
    key = {"Idempotency-Key": str(uuid4())}
    assert (await orders.post("/v1/orders", an_order(), headers=key)).status_code == 201
    path = f"/v1/campaigns/{campaign.id}/joins"
    assert (await orders.post(path, a_join(), headers=key)).status_code == 201
    await campaign.cut()
    await campaign.grant(honey=2)
    await orders.sweep()
    assert (await orders.names("orders.order.v1")).count("OrderPlaced") == 2


async def test_a_group_of_joins_costs_a_constant_number_of_statements(orders: Orders):
    campaigns = [await open_one(orders) for _ in range(4)]
    counts: list[int] = []
    for callers in (range(1), range(1, 41)):
        statements: list[Any] = []
        async with counting(orders, statements):
            paths = [f"/v1/campaigns/{campaigns[n % 4].id}/joins" for n in callers]
            first = asyncio.create_task(orders.post(paths[0], a_join(callers[0], 1)))
            asks = [orders.post(path, a_join(n, 1)) for n, path in zip(callers[1:], paths[1:], strict=True)]
            answers = await asyncio.gather(first, *asks)
        assert {answer.status_code for answer in answers} == {201}
        counts.append(len(statements))
    # One commit for the first, at most one more for all that came meanwhile.
    assert 8 < counts[0] <= 20, counts
    assert counts[1] <= 2 * counts[0], counts
