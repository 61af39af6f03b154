"""A stall terminal's sync on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from contracts.events import inventory as i
from contracts.events.orders import SaleRecorded, SessionAdjusted, SessionClosed
from tests.integration.orders_world import NOW, Orders, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack
TOPIC = "orders.stall.v1"


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as world:
        yield world


def upload(seq: int, kind: str, body: dict[str, Any], session: str = "s1") -> dict[str, Any]:
    return {"session": session, "seq": seq, "recorded_at": NOW.isoformat(), "kind": kind, "body": body}


def sale(seq: int, id: str | None = None, quantity: int = 1, amount: int = 550) -> dict[str, Any]:
    line = {"item": "honey", "quantity": quantity, "amount_fen": amount}
    return upload(seq, "sale", {"sale": id or str(uuid4()), "lines": [line]})


async def sync(orders: Orders, *uploads: dict[str, Any], status: int = 200) -> dict[str, Any]:
    body = {"device": "d1", "market_day": "sat", "uploads": list(uploads)}
    answer = await orders.post("/v1/terminals/stall-1/sync", body, "terminal")
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def test_a_day_in_any_order_counts_once(orders: Orders):
    sold = str(uuid4())
    day = [
        upload(1, "open", {"float_fen": 10_000}),
        sale(2, sold, 2, 1100),
        sale(3),
        upload(4, "void", {"sale": sold}),
        upload(5, "count", {"lines": [{"item": "honey", "quantity": 7}]}),
        upload(6, "close", {"last_seq": 6, "cash_fen": 10_550}),
    ]
    answer = await sync(orders, *reversed(day[3:]))
    assert (answer["received_through"], answer["gaps"]) == ({"s1": 0}, {"s1": [[1, 3]]})
    assert await orders.names(TOPIC) == ["SessionClosed"]
    answer = await sync(orders, *day)
    assert (answer["received_through"], answer["gaps"], answer["conflicts"]) == ({"s1": 6}, {"s1": []}, [])
    assert await orders.names(TOPIC) == [
        "SessionClosed",
        "SessionOpened",
        "SaleRecorded",
        "SaleVoided",
        "SaleRecorded",
        "SessionClosed",
    ]
    first, last = (e for e in await orders.published(TOPIC) if isinstance(e, SessionClosed))
    assert (first.complete, last.complete, last.expected_fen, last.cash_fen) == (False, True, 10_550, 10_550)
    again = await sync(orders, *day)
    assert again | {"uploads": []} == answer | {"uploads": []}
    assert {published["answer"] for published in again["uploads"]} == {"repeated"}
    assert len(await orders.published(TOPIC)) == 6
    assert again["allotment"][0]["sold_total"] == 1


async def test_concurrent_uploads_of_the_same_count_once(orders: Orders):
    day = [sale(seq) for seq in range(1, 31)]
    await asyncio.gather(*(sync(orders, *day[n % 3 :]) for n in range(8)))
    assert len(await orders.published(TOPIC)) == 30


async def test_an_altered_number_is_kept_shown_and_told_once(orders: Orders):
    await sync(orders, sale(1, quantity=1))
    for _ in range(2):
        answer = await sync(orders, sale(1, quantity=9))
        assert [(c["session"], c["seq"]) for c in answer["conflicts"]] == [("s1", 1)]
    same = sale(1, quantity=8)
    await sync(orders, same)
    await sync(orders, same)
    assert (await orders.names(TOPIC)).count("SaleRecorded") == 1
    assert (await orders.names(TOPIC)).count("SaleConflicted") == 3  # three other contents, one of them sent twice
    assert await orders.context.pool.fetchval("select count(*) from sequenced_conflict") == 3


async def test_an_altered_sale_under_another_number_is_a_conflict(orders: Orders):
    id = str(uuid4())
    answer = await sync(orders, sale(1, id), sale(2, id), sale(3, id, quantity=5))
    assert [(c["seq"]) for c in answer["conflicts"]] == [3]
    assert await orders.names(TOPIC) == ["SaleRecorded", "SaleConflicted"]


async def test_what_a_terminal_is_told(orders: Orders):
    granted = {"terminal": "stall-1", "pool": "sat@square", "item": "honey", "quantity": 30}
    totals = {"granted_total": 30, "returned_total": 0, "version": 1}
    await orders.hear(
        i.AllotmentGranted(**granted, **totals),
        i.SoldOut(pool="sat@square", item="tofu"),
    )
    await orders.hear(i.AllotmentReturned(**granted, **{**totals, "returned_total": 4, "version": 2}))
    await orders.hear(i.AllotmentGranted(**granted, **totals))
    answer = await sync(orders, sale(1, quantity=3))
    (lent,) = answer["allotment"]
    assert (lent["item"], lent["granted_total"], lent["returned_total"], lent["version"]) == ("honey", 30, 4, 2)
    assert lent["sold_total"] == 3
    assert answer["sold_out"] == ["tofu"]
    assert answer["recalls"] == []
    assert [(p["item"], p["price_fen"], p["per"]) for p in answer["prices"]] == [("honey", 550, "piece")]
    await orders.hear(i.SoldOut(pool="sat@square", item="tofu", reopened=True))
    assert (await sync(orders))["sold_out"] == []


async def test_a_bad_upload_is_kept_and_holds_up_no_other(orders: Orders):
    honey = {"item": "honey", "quantity": 1, "amount_fen": 1}
    unknown = upload(2, "sale", {"sale": str(uuid4()), "lines": [{**honey, "item": "noodles"}]})
    bad = [
        unknown,
        upload(3, "sale", {"sale": str(uuid4()), "lines": [{"item": "honey", "weight_g": 1, "amount_fen": 1}]}),
        upload(4, "sale", {"sale": "x", "lines": []}),
        upload(5, "sale", {"sale": str(uuid4()), "lines": [{**honey, "quantity": 2**70}]}),
        upload(6, "sale", {"sale": str(uuid4()), "lines": [honey], "note": "\x00"}),
        upload(7, "dance", {}),
        {**sale(8), "body": None},
        {**sale(9), "body_hash": "A" * 43},
        {**sale(10), "mood": "good"},
    ]
    answer = await sync(orders, *bad, sale(1), sale(11))
    assert [published["answer"] for published in answer["uploads"]] == ["kept"] * 9 + ["applied"] * 2
    assert (answer["received_through"], answer["gaps"]) == ({"s1": 11}, {"s1": []})
    reasons = {published["seq"]: published["reason"] for published in answer["uploads"]}
    assert reasons[2] == "body/lines/0/item: item noodles is not in the catalogue; put it there and redrive this upload"
    assert reasons[6] == "body: text must not contain a NUL character"
    assert reasons[10] == '"mood" is not a field of an upload'
    assert all(reasons[seq] for seq in range(2, 11))
    assert await orders.names(TOPIC) == ["SaleRecorded"] * 2
    again = await sync(orders, *bad, sale(12))
    assert [published["answer"] for published in again["uploads"]] == ["kept"] * 9 + ["applied"]
    listed = (await orders.get("/v1/parked", "operator")).json()["parked"]
    assert [(one["consumer"], one["scope"]) for one in listed] == [
        ("orders.uploads", f"terminal/stall-1/d1/s1/{seq}") for seq in range(2, 11)
    ]
    flagged = (await orders.get("/v1/uploads?flag=kept&owner=terminal/stall-1", "operator")).json()["uploads"]
    assert [one["seq"] for one in flagged] == list(range(2, 11))
    text = await orders.context.pool.fetchval('select payload from parked where "offset" = 5')
    assert f'"quantity": {2**70}'.encode() in text, "kept as given"


async def test_a_kept_sale_takes_effect_once_the_catalogue_has_its_item(orders: Orders):
    id = str(uuid4())
    body = {"sale": id, "lines": [{"item": "noodles", "quantity": 2, "amount_fen": 500}]}
    await sync(orders, upload(1, "open", {}), upload(2, "sale", body), upload(3, "close", {"last_seq": 3}))
    assert await orders.names(TOPIC) == ["SessionOpened", "SessionClosed"]
    scope = {"scope": "terminal/stall-1/d1/s1/2"}
    tried = (await orders.post("/v1/parked:redrive", scope, "operator")).json()["results"]
    assert (tried[0]["done"], "noodles is not in the catalogue" in tried[0]["error"]) == (0, True)
    await orders.put("items/noodles", {"name_zh": "面", "unit": "piece", "unit_g": 500})
    for done in ([1], []):
        results = (await orders.post("/v1/parked:redrive", scope, "operator")).json()["results"]
        assert [one["done"] for one in results] == done
    assert await orders.names(TOPIC) == ["SessionOpened", "SessionClosed", "SaleRecorded", "SessionAdjusted"]
    assert (await orders.get("/v1/parked", "operator")).json()["parked"] == []
    answer = await sync(orders, upload(2, "sale", body))
    assert answer["uploads"][0]["answer"] == "repeated"
    assert {row["item"]: row["sold_total"] for row in answer["allotment"]} == {"noodles": 2}


async def test_a_kept_upload_can_be_given_up(orders: Orders):
    await sync(orders, upload(1, "dance", {}))
    (one,) = (await orders.get("/v1/parked", "operator")).json()["parked"]
    answer = await orders.post(f"/v1/parked/{one['id']}:discard", {"why": "a test"}, "operator")
    assert answer.status_code == 204
    assert (await orders.get("/v1/parked", "operator")).json()["parked"] == []
    assert (await sync(orders, upload(1, "dance", {}), sale(2)))["received_through"] == {"s1": 2}


async def test_a_broken_clock_stops_no_sale(orders: Orders):
    times = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1970-01-01T00:00:00Z", "noon", None, 5]
    day = [{**sale(n), "recorded_at": at} for n, at in enumerate(times, 1)]
    answer = await sync(orders, *day, sale(7))
    assert [published["answer"] for published in answer["uploads"]] == ["applied"] * 7
    assert [published["flags"] for published in answer["uploads"]] == [["clock-invalid"]] * 6 + [[]]
    events = [event for event in await orders.published(TOPIC) if isinstance(event, SaleRecorded)]
    assert [(event.clock_invalid, event.recorded_at == NOW) for event in events] == [(True, True)] * 6 + [(False, True)]
    flagged = (await orders.get("/v1/uploads?flag=clock-invalid", "operator")).json()["uploads"]
    assert [one["device_time"] for one in flagged][:4] == [f'"{at}"' for at in times[:4]]
    assert await orders.context.pool.fetchval("select count(*) from stall_sale where clock_invalid") == 6


async def test_a_closed_sessions_figures_stand_and_what_comes_late_is_told(orders: Orders):
    sold = str(uuid4())
    await sync(orders, upload(1, "open", {"float_fen": 100}), sale(2, sold), upload(3, "close", {"last_seq": 3}))
    late = str(uuid4())
    second = upload(6, "close", {"last_seq": 6, "cash_fen": 9})
    await sync(orders, sale(4, late, 1, 30), upload(5, "void", {"sale": sold}), second)
    published = await orders.published(TOPIC)
    assert [type(event).__name__ for event in published] == [
        "SessionOpened",
        "SaleRecorded",
        "SessionClosed",
        "SaleRecorded",
        "SessionAdjusted",
        "SaleVoided",
        "SessionAdjusted",
        "SessionAdjusted",
    ]
    adjusted = [event for event in published if isinstance(event, SessionAdjusted)]
    assert [(e.fact, e.close_seq, e.amount_fen, e.cash_fen) for e in adjusted] == [
        ("sale", 3, 30, None),
        ("void", 3, -550, None),
        ("close", 3, 0, 9),
    ]
    assert (str(adjusted[0].sale), adjusted[0].seq_no) == (late, 4)
    row = await orders.context.pool.fetchrow("select taken_fen, adjusted_fen, close_seq from stall_session")
    assert tuple(row) == (550, -520, 3)


async def test_a_terminal_has_one_device_until_an_operator_resets_it(orders: Orders):
    await orders.hear(
        i.AllotmentGranted(
            terminal="stall-1",
            pool="sat@square",
            item="honey",
            quantity=9,
            granted_total=9,
            returned_total=0,
            version=1,
        )
    )

    async def ask(device: str, *uploads: dict[str, Any]) -> httpx2.Response:
        body = {"device": device, "market_day": "sat", "uploads": list(uploads)}
        return await orders.post("/v1/terminals/stall-1/sync", body, "terminal")

    assert (await ask("d1", sale(1))).json()["active"] is True
    other = await ask("d2", sale(1))
    assert (other.status_code, other.json()["code"]) == (409, "other-device")
    assert ":reset-device" in other.json()["detail"]
    reset = "/v1/terminals/stall-1:reset-device"
    assert (await orders.post(reset, None, "terminal")).status_code == 403
    assert (await orders.post(reset, None, "operator")).json() == {
        "terminal": "stall-1",
        "device": None,
        "retired": ["d1"],
    }
    old = (await ask("d1", sale(2))).json()
    assert (old["active"], old["uploads"][0]["answer"], old["allotment"]) == (False, "applied", [])
    new = (await ask("d2", sale(1))).json()
    assert (new["active"], new["allotment"][0]["sold_total"]) == (True, 3)
    assert (await ask("d1", sale(3))).json()["uploads"][0]["answer"] == "applied", "its tail is still facts"
    assert (await ask("d3")).status_code == 409
    back = await orders.post(reset, {"device": "d1"}, "operator")
    assert back.json()["retired"] == ["d2"]
    assert (await ask("d1")).json()["active"] is True
    assert await orders.context.pool.fetchval("select count(*) from stall_sale") == 4


async def test_what_is_no_envelope_is_refused(orders: Orders):
    await sync(orders, {**sale(1), "device": "d2"}, status=422)
    await sync(orders, {**sale(1), "seq": 0}, status=422)
    await sync(orders, *(sale(n) for n in range(1, 202)), status=422)
    assert await orders.published(TOPIC) == []
    unknown = await orders.post("/v1/terminals/nobody/sync", {"device": "d", "market_day": "sat"}, "terminal")
    assert unknown.status_code == 404
    assert (await orders.post("/v1/terminals/stall-1/sync", {}, "buyer")).status_code == 403
