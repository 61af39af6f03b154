"""An order's life through the real processors, deadlines and tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.events import dispatch as d
from contracts.events import inventory as i
from contracts.events.orders import OrderCancelled, OrderCollected, OrderScheduled
from contracts.values import job_of, reservation_of
from tests.integration.orders_world import NOW, Orders, an_order, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack
POOL = "sat@square"
PICKUP = {"kind": "pickup", "point": "gate"}


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as world:
        yield world


def claim(order: UUID, attempt: int = 1) -> dict[str, Any]:
    return {"reservation": reservation_of(order, POOL, attempt), "pool": POOL, "order": order}


def reserved(order: UUID, attempt: int = 1) -> i.StockReserved:
    return i.StockReserved(**claim(order, attempt), firm=True, lines=[])


def released(order: UUID) -> i.ReservationReleased:
    return i.ReservationReleased(**claim(order), quantity=0)


def job(kind: type[Any], order: UUID, **more: Any) -> Any:
    known = claim(order) | {"job": job_of(order, reservation_of(order, POOL, 1)), "courier": "c1", "epoch": 1}
    known |= {"reason": "other", "delivered_at": NOW, "wave": "sat-1", "attempt": 1}
    known |= {"slot_from": NOW + timedelta(hours=4), "slot_until": NOW + timedelta(hours=6)}
    return kind(**{**known, **more})


async def _tables_with(orders: Orders, text: str) -> set[str]:
    """Return the tables that contain a text; of the outbox the publicly readable part."""
    tables = await orders.context.pool.fetch(
        "select table_name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'"
    )
    found = set()
    for table in tables:
        name = table["table_name"]
        where = "where topic <> 'orders.recipient.v1'" if name == "outbox" else ""
        rows = await orders.context.pool.fetch(f"select t::text as row from {name} t {where}")
        if any(text in row["row"] for row in rows):
            found.add(name)
    payloads = await orders.context.pool.fetch("select payload from outbox where topic <> 'orders.recipient.v1'")
    return found | {"outbox" for row in payloads if text.encode() in row["payload"]}


async def check_books(orders: Orders) -> None:
    """Every head row is the fold of its history, and money adds up."""
    wrong = await orders.context.pool.fetch(
        "select order_id from orders o left join lateral (select count(*) as n, max(h.n) as last, "
        "(array_agg(h.to_state order by h.n desc))[1] as state from order_history h where h.order_id = o.order_id) h "
        "on true where h.n <> o.version or h.last <> o.version or h.state <> o.state "
        "or o.paid_fen <> (select coalesce(sum(amount_fen), 0) from payment p where p.order_id = o.order_id) "
        "or o.refunded_fen <> (select coalesce(sum(amount_fen), 0) from refund r where r.order_id = o.order_id)"
    )
    assert wrong == []


async def test_a_delivery_from_basket_to_door(orders: Orders):
    id = await orders.place(payment="prepaid")
    await orders.hear(reserved(id))
    assert await orders.names("dispatch.command.v1", id) == ["ScheduleDelivery"]
    await orders.hear(job(d.JobPlanned, id), job(d.JobLoaded, id), job(d.AttemptFailed, id), job(d.JobDelivered, id))
    assert await orders.names("orders.order.v1", id) == [
        "OrderPlaced",
        "OrderReserved",
        "OrderScheduled",
        "OrderLoaded",
        "OrderDelivered",
    ]
    scheduled = next(e for e in await orders.published(subject=id) if isinstance(e, OrderScheduled))
    assert scheduled.job == job_of(id, reservation_of(id, POOL, 1))
    steps = (await orders.get(f"/v1/orders/{id}/history")).json()["steps"]
    assert [step["to_state"] for step in steps] == [
        "placed",
        "reserved",
        "scheduled",
        "loaded",
        "loaded",
        "delivered",
    ]
    assert steps[1]["message"] == "market.inventory.stock-reserved.v1"
    assert await orders.context.pool.fetchval("select count(*) from deadline") == 0
    assert (await orders.post(f"/v1/orders/{id}:cancel")).status_code == 409
    refund = await orders.post(f"/v1/orders/{id}:refund", role="operator")
    again = await orders.post(f"/v1/orders/{id}:refund", role="operator")
    assert refund.json()["refunded_fen"] == again.json()["refunded_fen"] == 1200
    assert (await orders.names("orders.order.v1", id)).count("OrderRefunded") == 1
    await check_books(orders)


async def test_a_pickup_with_its_code(orders: Orders):
    id = await orders.place(fulfilment=PICKUP)
    code = (await orders.get(f"/v1/orders/{id}")).json()["code"]
    assert (await orders.post(f"/v1/orders/{id}:ready", role="leader")).status_code == 409
    await orders.hear(reserved(id))
    assert (await orders.post(f"/v1/orders/{id}:ready", role="leader")).json()["state"] == "ready"
    wrong = await orders.post(f"/v1/orders/{id}:collect", {"code": "nope"}, "leader")
    assert wrong.status_code == 409
    assert code not in wrong.text
    assert (await orders.post(f"/v1/orders/{id}:collect", {"code": code}, "leader")).json()["state"] == "collected"
    collected = (await orders.published("orders.order.v1", id))[-1]
    assert isinstance(collected, OrderCollected)
    assert [(line.item, line.quantity) for line in collected.lines] == [("honey", 2)]
    await check_books(orders)


async def test_five_wrong_codes_close_a_pickup_for_an_hour(orders: Orders):
    id, other = [await orders.place(fulfilment=PICKUP) for _ in range(2)]
    codes = {one: (await orders.get(f"/v1/orders/{one}")).json()["code"] for one in (id, other)}
    for one in (id, other):
        await orders.hear(reserved(one))
        await orders.post(f"/v1/orders/{one}:ready", role="leader")

    async def collect(code: str, role: str = "leader", order: Any = id) -> tuple[int, str]:
        answer = await orders.post(f"/v1/orders/{order}:collect", {"code": code}, role)
        return answer.status_code, answer.json().get("code", "")

    tries = await asyncio.gather(*(collect(f"no {n}") for n in range(8)))
    assert sorted(tries) == [(409, "needs-desk")] * 3 + [(409, "wrong-code")] * 5
    assert await collect(codes[id]) == (409, "needs-desk"), "the right one does not count either"
    assert await orders.context.pool.fetchval("select n from code_try") == 5
    orders.clock.set(NOW + timedelta(hours=3), wall=NOW + timedelta(minutes=59))
    assert await collect(codes[id], "buyer") == (409, "needs-desk"), "an hour of real time, not of the market's"
    assert (await collect(codes[other], order=other))[0] == 200, "only this order is closed"
    orders.clock.set(NOW + timedelta(hours=3), wall=NOW + timedelta(minutes=61))
    assert await collect("no again") == (409, "wrong-code")
    assert (await collect(codes[id]))[0] == 200
    await check_books(orders)


async def test_an_operator_hands_over_what_needs_the_desk(orders: Orders):
    id = await orders.place(fulfilment=PICKUP)
    code = (await orders.get(f"/v1/orders/{id}")).json()["code"]
    await orders.hear(reserved(id))
    await orders.post(f"/v1/orders/{id}:ready", role="leader")
    for _ in range(6):
        await orders.post(f"/v1/orders/{id}:collect", {"code": "nope"}, "leader")
    collected = await orders.post(f"/v1/orders/{id}:collect", {"code": code}, "operator")
    assert collected.json()["state"] == "collected"


async def test_a_pickup_that_nobody_fetches(orders: Orders):
    id = await orders.place(fulfilment=PICKUP, payment="prepaid")
    await orders.hear(reserved(id))
    await orders.post(f"/v1/orders/{id}:ready", role="operator")
    orders.clock.set(NOW + timedelta(hours=10, minutes=59))
    await orders.sweep()
    assert await orders.state(id) == "ready"
    orders.clock.set(NOW + timedelta(hours=11))  # 20:00 in Changsha
    await orders.sweep()
    assert (await orders.names("orders.order.v1", id))[-2:] == ["OrderReturned", "OrderRefunded"]
    await check_books(orders)


async def test_a_batch_of_answers_takes_effect_once_each(orders: Orders):
    ids = [await orders.place() for _ in range(20)]
    answers, refusals = [reserved(id) for id in ids[:15]], [i.StockRefused(**claim(id), reason="no") for id in ids[15:]]
    one = uuid4()
    await orders.hear(*answers[:1], id=one)
    await orders.hear(*answers[:1], id=one)
    await orders.hear(*answers, *refusals, reserved(uuid4()))
    states = [await orders.state(id) for id in ids]
    assert states == ["reserved"] * 15 + ["rejected"] * 5
    assert len(await orders.published("dispatch.command.v1")) == 15
    await check_books(orders)


async def test_a_batch_costs_a_constant_number_of_statements(orders: Orders):
    counts: list[int] = []
    for size in (1, 40):
        answers = [reserved(await orders.place()) for _ in range(size)]
        statements: list[Any] = []
        async with counting(orders, statements):
            await orders.hear(*answers)
        counts.append(len(statements))
    assert 4 < counts[0] == counts[1] <= 16, counts


@asynccontextmanager
async def counting(orders: Orders, statements: list[Any]) -> AsyncIterator[None]:
    """Collects the statements of every pooled connection."""
    held = [holder._con for holder in orders.context.pool._holders if holder._con]  # no public way to all of them
    for conn in held:
        conn.add_query_logger(statements.append)
    yield
    for conn in held:
        conn.remove_query_logger(statements.append)


async def test_cancel_waits_for_each_answer_and_says_it_again(orders: Orders):
    id = await orders.place(payment="prepaid")
    await orders.hear(reserved(id))
    assert (await orders.post(f"/v1/orders/{id}:cancel", {"reason": "moved"})).json()["state"] == "cancelling"
    assert (await orders.post(f"/v1/orders/{id}:cancel")).status_code == 200
    orders.clock.advance(timedelta(seconds=61))
    await orders.sweep()
    await orders.sweep()
    assert (await orders.names("dispatch.command.v1", id))[1:] == ["CancelDelivery", "CancelDelivery"]
    await orders.hear(job(d.JobCancelled, id))
    await orders.hear(job(d.JobCancelled, id))
    await orders.hear(released(id), released(id))
    assert (await orders.names("orders.order.v1", id))[-2:] == ["OrderCancelled", "OrderRefunded"]
    assert await orders.context.pool.fetchval("select count(*) from deadline") == 0
    await check_books(orders)


async def test_inventory_that_does_not_answer(orders: Orders):
    id = await orders.place()
    orders.clock.set(NOW, wall=NOW + timedelta(minutes=2))
    await orders.sweep()
    assert await orders.state(id) == "failing"
    await orders.hear(reserved(id), released(id))
    assert await orders.state(id) == "failed"
    await check_books(orders)


async def test_money_in_time_late_and_twice(orders: Orders):
    id = await orders.place(payment="pending")
    until = NOW + timedelta(minutes=15)
    await orders.hear(i.StockReserved(**claim(id), firm=False, expires_at=until, lines=[]))
    pay = {"payment_id": "wx-1", "amount_fen": 1200}
    assert (await orders.post(f"/v1/orders/{id}:pay", {**pay, "amount_fen": 1})).status_code == 409
    orders.clock.set(until + timedelta(minutes=5))
    await orders.sweep()
    assert await orders.state(id) == "expired"
    assert (await orders.post(f"/v1/orders/{id}:pay", pay)).json()["state"] == "placed"
    assert (await orders.post(f"/v1/orders/{id}:pay", pay)).json()["paid_fen"] == 1200
    twice = await orders.post(f"/v1/orders/{id}:pay", {**pay, "payment_id": "wx-2"})
    assert (twice.json()["paid_fen"], twice.json()["refunded_fen"]) == (2400, 1200)
    await orders.hear(released(id), reserved(id), reserved(id, attempt=2))
    assert await orders.state(id) == "reserved"
    assert (await orders.names("inventory.command.v1")).count("ReserveStock") == 2
    await check_books(orders)


async def test_a_shortfall_names_orders_that_then_fail(orders: Orders):
    first, second = await orders.place(), await orders.place(fulfilment=PICKUP)
    await orders.hear(reserved(first), reserved(second))
    await orders.hear(
        i.ClaimsExceeded(
            pool=POOL,
            item="honey",
            shortfall=4,
            reservations=[reservation_of(first, POOL, 1), reservation_of(second, POOL, 1)],
            orders=[first, second, uuid4()],
        )
    )
    assert [await orders.state(first), await orders.state(second)] == ["failing", "failing"]
    assert (await orders.names("dispatch.command.v1", first))[-1] == "CancelDelivery"
    await orders.hear(released(second))
    assert await orders.state(second) == "failed"
    await check_books(orders)


async def test_a_slot_that_begins_without_a_plan(orders: Orders):
    id = await orders.place()
    await orders.hear(reserved(id))
    orders.clock.set(NOW + timedelta(hours=4))
    await orders.sweep()
    assert await orders.state(id) == "failing"
    await orders.hear(job(d.CancelRefused, id))
    assert await orders.state(id) == "loaded"
    orders.clock.set(NOW + timedelta(hours=7))
    await orders.sweep()
    assert await orders.state(id) == "loaded"
    await check_books(orders)


async def test_the_person_stands_nowhere_but_in_its_table_and_topic(orders: Orders):
    await orders.place(recipient={"name": "王伟", "phone": "13811112222"})
    await orders.post(
        "/v1/orders", an_order(order_id=str(await orders.place()), recipient={"name": "王伟", "phone": "13811112222"})
    )
    assert await _tables_with(orders, "13811112222") == await _tables_with(orders, "王伟") == {"recipient"}


async def test_why_a_buyer_cancels_is_told_as_a_code_and_his_words_to_nobody(orders: Orders):
    id = await orders.place()
    words = {"reason": "李姐不在家, 打13900000002", "note": "ring at 3-302"}
    assert (await orders.post(f"/v1/orders/{id}:cancel", words)).json()["reason"] == "other"
    await orders.hear(released(id))
    (cancelled,) = [event for event in await orders.published(subject=id) if isinstance(event, OrderCancelled)]
    assert cancelled.reason == "other"
    assert await _tables_with(orders, "13900000002") == await _tables_with(orders, "3-302") == {"order_note"}
    steps = (await orders.get(f"/v1/orders/{id}/history")).json()["steps"]
    assert [step["note"] for step in steps] == [None, "李姐不在家, 打13900000002; ring at 3-302", None]
    for role in ("courier", "leader", "terminal"):
        assert "note" not in (await orders.get(f"/v1/orders/{id}/history", role)).json()["steps"][1]


@pytest.mark.parametrize("code", ["changed-mind", "ordered-twice", "wrong-address", "too-late", "other"])
async def test_a_code_of_a_cancel_is_told(orders: Orders, code: str):
    id = await orders.place()
    await orders.post(f"/v1/orders/{id}:cancel", {"reason": code})
    await orders.hear(released(id))
    assert [e.reason for e in await orders.published(subject=id) if isinstance(e, OrderCancelled)] == [code]


async def test_a_telephone_number_is_no_payment(orders: Orders):
    id = await orders.place(payment="pending")
    for wrong in ("13900000002", "+86 139 0000 0002", "张姐", "pay-8613900000002"):
        answer = await orders.post(f"/v1/orders/{id}:pay", {"payment_id": wrong, "amount_fen": 1200})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/payment_id"), wrong
    by_chance = "pay-0198f2c1-7139-7312-9061-a13907312006"
    answer = await orders.post(f"/v1/orders/{id}:pay", {"payment_id": by_chance, "amount_fen": 1200})
    assert answer.status_code == 200, answer.text
