"""A group-buy through the real processors, deadlines and tables: cut once, judged once, settled join by join."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from contracts.events import campaign as c
from contracts.events import inventory as i
from contracts.events.orders import OrderPlaced, RecipientPut
from services.kit.faults import armed
from services.orders.commands.changes import Changes
from services.orders.domain.campaign.verdict import replay
from tests.integration.campaign_world import CLOSES, POOL, Campaigns, open_one
from tests.integration.orders_world import NOW, Orders, an_order, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as world:
        yield world


async def commands(orders: Orders) -> list[Any]:
    return await orders.published("inventory.command.v1")


async def test_a_formed_campaign_becomes_orders_that_draw_on_its_reservation(orders: Orders):
    campaign = await open_one(orders)
    first = await campaign.join(1, 3, payment="prepaid")
    second = await campaign.join(2, 2, fulfilment=an_order()["fulfilment"])
    await campaign.cut()
    (ask,) = await commands(orders)
    assert (ask.mode, ask.firm, ask.order, ask.reservation) == (
        "partial",
        True,
        campaign.id,
        campaign.claim["reservation"],
    )
    assert [(line.item, line.quantity) for line in ask.lines] == [("honey", 5)]
    assert (await campaign.shown())["state"] == "cut"
    await campaign.grant(honey=5)
    assert ((await campaign.shown())["state"], (await campaign.shown())["settled"]) == ("formed", False)
    await orders.sweep()
    _, one, two, rest = await commands(orders)
    assert [one.source, two.source] == [ask.reservation] * 2
    assert isinstance(rest, i.ReleaseStock)
    assert rest.reservation == ask.reservation
    placed = [event for event in await orders.published("orders.order.v1") if isinstance(event, OrderPlaced)]
    assert [(event.campaign, event.join, event.total_fen) for event in placed] == [
        (campaign.id, first, 1500),
        (campaign.id, second, 1000),
    ]
    (recipient,) = await orders.published("orders.recipient.v1")  # of the delivery; the other is picked up
    assert isinstance(recipient, RecipientPut)
    assert recipient.order == placed[1].order
    await campaign.release()
    assert (await campaign.shown())["settled"]
    assert await campaign.published() == [
        "CampaignOpened",
        "JoinAccepted",
        "JoinAccepted",
        "CampaignCut",
        "CampaignFormed",
    ]
    shown = (await orders.get(f"/v1/orders/{placed[0].order}")).json()
    assert (shown["state"], shown["campaign_id"], shown["paid_fen"]) == ("placed", str(campaign.id), 1500)
    assert shown["recipient"]["phone"] == "13900000001"
    joins = await campaign.joins()
    assert [(one["state"], one["order_id"]) for one in joins] == [("ordered", str(event.order)) for event in placed]
    assert await orders.context.pool.fetchval("select count(*) from campaign_person") == 0
    kinds = await orders.context.pool.fetch("select kind from deadline order by kind")
    assert [row["kind"] for row in kinds] == ["order", "order"]


async def test_an_order_of_a_campaign_lives_like_any_other(orders: Orders):
    campaign = await open_one(orders, threshold={"of": "people", "at_least": 1})
    await campaign.join(1, 3, payment="prepaid")
    await campaign.cut()
    await campaign.grant(honey=3)
    await orders.sweep()
    (placed,) = await orders.published("orders.order.v1")
    assert isinstance(placed, OrderPlaced)
    claim = (await commands(orders))[1]
    await orders.hear(
        i.StockReserved(reservation=claim.reservation, pool=POOL, order=placed.order, firm=True, lines=claim.lines)
    )
    assert await orders.state(placed.order) == "reserved"
    await orders.post(f"/v1/orders/{placed.order}:cancel")
    await orders.hear(i.ReservationReleased(reservation=claim.reservation, pool=POOL, order=placed.order, quantity=3))
    shown = (await orders.get(f"/v1/orders/{placed.order}")).json()
    assert (shown["state"], shown["refunded_fen"]) == ("cancelled", 1500)


async def test_a_short_campaign_is_split_by_its_rule_and_the_rest_goes_back(orders: Orders):
    campaign = await open_one(orders, shortfall="at-least-one-each")
    joins = [await campaign.join(n, 4, payment="prepaid") for n in range(3)]
    late = await campaign.join(4, 1, payment="prepaid", fulfilment={"kind": "pickup", "point": "gate"})
    await campaign.cut()
    await campaign.grant(honey=3)
    await orders.sweep()
    await campaign.release()
    shown = {UUID(one["join_id"]): one for one in await campaign.joins()}
    assert [shown[id]["granted"] for id in (*joins, late)] == [[1], [1], [1], [0]]
    assert [shown[id]["refunded_fen"] for id in (*joins, late)] == [1500, 1500, 1500, 500]
    assert [shown[id]["state"] for id in (*joins, late)] == ["ordered"] * 3 + ["refunded"]
    paid = await orders.context.pool.fetchval("select sum(paid_fen)::bigint from orders")
    assert paid == 1500
    refunds = [e for e in await orders.published("orders.campaign.v1") if isinstance(e, c.JoinRefunded)]
    assert [(e.amount_fen, e.reason) for e in refunds] == [(1500, "short")] * 3 + [(500, "short")]
    answer = (await orders.get(f"/v1/campaigns/{campaign.id}/verdict")).json()
    assert "one portion each: 1" in answer["verdict"]["shares"][0]["why"]


@pytest.mark.parametrize("granted", [1, 0])
async def test_a_failed_campaign_gives_back_once_and_releases(orders: Orders, granted: int):
    campaign = await open_one(orders, threshold={"of": "amount", "at_least": 10_000})
    await campaign.join(1, 3, payment="prepaid")
    await campaign.join(2, 2)
    await campaign.cut()
    await campaign.grant(honey=granted)
    await orders.sweep()
    await orders.sweep()
    assert await campaign.published() == [
        "CampaignOpened",
        "JoinAccepted",
        "JoinAccepted",
        "CampaignCut",
        "CampaignFailed",
        "JoinRefunded",
        "JoinRefunded",
    ]
    assert [e.amount_fen for e in await orders.published("orders.campaign.v1") if isinstance(e, c.JoinRefunded)] == [
        1500,
        0,
    ]
    assert [type(one).__name__ for one in await commands(orders)] == ["ReserveStock", "ReleaseStock"]
    await campaign.release()
    shown = await campaign.shown()
    assert (shown["state"], shown["settled"], shown["reason"]) == ("failed", True, "amount: 2500 of at least 10000")
    assert not await orders.published("orders.order.v1")


async def test_a_campaign_that_nobody_joined_fails_at_its_cutoff(orders: Orders):
    campaign = await open_one(orders)
    await orders.post(f"/v1/campaigns/{campaign.id}/joins/{await campaign.join()}:cancel")
    await campaign.cut()
    assert (await campaign.published())[-2:] == ["CampaignCut", "CampaignFailed"]
    assert (await campaign.shown())["settled"]
    assert not await commands(orders)
    assert await orders.context.pool.fetchval("select count(*) from deadline") == 0


async def test_the_cutoff_comes_once_and_not_before_also_after_an_outage(orders: Orders):
    campaign = await open_one(orders)
    await campaign.join(1)
    orders.clock.set(CLOSES - timedelta(microseconds=1))
    await orders.sweep()
    assert (await campaign.shown())["state"] == "open"
    orders.clock.set(CLOSES + timedelta(hours=3))
    await orders.sweep()
    await orders.sweep()
    assert (await campaign.published()).count("CampaignCut") == 1
    assert len(await commands(orders)) == 1


async def test_stock_that_does_not_answer_is_asked_again_until_the_market_day_is_over(orders: Orders):
    campaign = await open_one(orders, threshold={"of": "people", "at_least": 1})
    await campaign.join(1, 3, payment="prepaid")
    await campaign.cut()
    for minutes in (1, 2):
        orders.clock.set(CLOSES, wall=CLOSES + timedelta(minutes=minutes))
        await orders.sweep()
    asked = await commands(orders)
    assert len(asked) == 3
    assert asked[0] == asked[2]
    orders.clock.set(NOW + timedelta(hours=8))
    await orders.sweep()
    await orders.sweep()
    await campaign.grant(honey=3)  # too late: passed over
    assert (await campaign.shown())["reason"] == "no stock was granted"
    assert (await campaign.published())[-2:] == ["CampaignFailed", "JoinRefunded"]
    for _ in range(2):
        orders.clock.advance(timedelta(minutes=1))
        await orders.sweep()
    assert [type(one).__name__ for one in await commands(orders)][3:] == ["ReleaseStock"] * 3
    await campaign.release()
    assert (await campaign.shown())["settled"]


async def test_answers_that_come_twice_or_about_something_else_change_nothing(orders: Orders):
    campaign = await open_one(orders)
    await campaign.join(1)
    await campaign.join(2)
    await campaign.grant(honey=4)  # nobody asked yet
    assert (await campaign.shown())["state"] == "open"
    await campaign.cut()
    await campaign.grant(honey=4)
    await campaign.grant(honey=1)
    await orders.sweep()
    await campaign.release()
    await campaign.release()
    await orders.sweep()
    assert (await campaign.published()).count("CampaignFormed") == 1
    assert len(await orders.published("orders.order.v1")) == 2


async def test_a_verdict_is_kept_with_its_inputs_and_replays_to_the_same_bytes(orders: Orders):
    campaign = await open_one(orders)
    assert (await orders.get(f"/v1/campaigns/{campaign.id}/verdict")).status_code == 404
    for n in range(7):
        await campaign.join(n, n + 1)
    await campaign.cut()
    await campaign.grant(honey=17)
    row = await orders.context.pool.fetchrow("select inputs, verdict from campaign_verdict")
    assert replay(row["inputs"]) == row["verdict"]
    answer = await orders.get(f"/v1/campaigns/{campaign.id}/verdict")
    assert row["verdict"] in answer.content
    assert row["inputs"] in answer.content
    assert [share["granted"] for share in json.loads(row["verdict"])["shares"]] == [1, 2, 3, 4, 5, 2, 0]


async def settled(orders: Orders, campaign: Campaigns) -> None:
    for _ in range(10):
        await orders.sweep()
    await campaign.release()
    assert (await campaign.shown())["settled"]


async def test_settling_goes_in_parts_and_resumes_after_a_crash_half_way(orders: Orders):
    orders.service = replace(orders.service, open_repository=partial(Changes, part=3))
    campaign = await open_one(orders)
    joins = [await campaign.join(n, 1, payment="prepaid") for n in range(8)]
    await campaign.cut()
    await campaign.grant(honey=7)
    with armed("campaign.half_way:raise@2"):
        await orders.sweep()
        assert await orders.context.pool.fetchval("select count(*) from orders") == 3
        await orders.sweep()  # fails inside the second part, which is rolled back and tried again
        assert await orders.context.pool.fetchval("select count(*) from orders") == 6
    await settled(orders, campaign)
    placed = await orders.published("orders.order.v1")
    assert [event.join for event in placed if isinstance(event, OrderPlaced)] == joins[:7]
    assert (await campaign.published()).count("JoinRefunded") == 1
    assert [type(one).__name__ for one in await commands(orders)] == ["ReserveStock"] * 8 + ["ReleaseStock"]
    assert await orders.context.pool.fetchval("select count(*) from parked") == 0
