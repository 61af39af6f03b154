"""Requests, timing and uploads of a day's actors."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

import httpx2
import pytest

from deploy.scenarios.actors.client import HttpClient, Refused, Request, call
from deploy.scenarios.actors.devices import Device, in_pieces
from deploy.scenarios.actors.requests import put_entry, read_order
from deploy.scenarios.drivers.api import Api
from deploy.scenarios.drivers.pace import FRESH, Pace
from deploy.scenarios.generator import make_day
from deploy.scenarios.load import load
from services.kit.clock import ManualClock
from services.kit.uploads.upload import UploadIn, read

DAY = make_day(load("market-day"), 1)
NOON = datetime(2026, 10, 24, 12, tzinfo=UTC)


def _api(answer: Callable[[httpx2.Request], httpx2.Response]) -> Api:
    tokens, transport = {"buyer": "b-token", "operator": "o-token"}, httpx2.MockTransport(answer)
    http = HttpClient({"orders": "http://orders.test"}, tokens, connections=1, timeout_s=1, transport=transport)
    return Api(http, tokens)


async def test_a_request_is_sent_again_unchanged_until_it_is_answered():
    seen: list[tuple[str, bytes, str | None]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.headers["authorization"], request.content, request.headers.get("idempotency-key")))
        if len(seen) == 1:
            raise httpx2.ConnectError("refused")
        return httpx2.Response(503 if len(seen) == 2 else 201, json={"n": len(seen)})

    api = _api(answer)
    assert await call(api, Request("buyer", "orders", "POST", "/v1/orders", {"a": 1}, "k")) == {"n": 3}
    assert seen == [("Bearer b-token", b'{"a":1}', "k")] * 3
    assert api.counts == {"requests": 1, "repeats": 2}


async def test_a_refusal_is_raised_at_once_with_its_reason():
    calls = 0

    def answer(_request: httpx2.Request) -> httpx2.Response:
        nonlocal calls
        calls += 1
        fault = {"pointer": "#/lines/0/item", "message": "not known"}
        return httpx2.Response(422, json={"code": "unprocessable", "detail": "d", "errors": [fault]})

    with pytest.raises(Refused, match="#/lines/0/item: not known") as refusal:
        await call(_api(answer), put_entry("items", "x", {}))
    assert (refusal.value.status, refusal.value.code, calls) == (422, "unprocessable", 1)


async def test_a_refusal_without_a_problem_document_is_still_told():
    api = _api(lambda _request: httpx2.Response(404, text="nothing here"))
    with pytest.raises(Refused, match="nothing here"):
        await call(api, read_order("1"))


async def test_a_minute_that_has_passed_is_not_waited_for():
    pace = Pace(ManualClock(DAY.at(10 * 60)), DAY)
    await pace.until(9 * 60)
    assert pace.minute == 10 * 60
    assert pace.next() is None


async def test_people_are_woken_in_the_order_of_their_minutes_and_what_they_send_is_due_since_then():
    clock = ManualClock(DAY.at(9 * 60))
    pace, came = Pace(clock, DAY), list[float]()
    sent: list[float] = []

    async def act(minute: float) -> None:
        await pace.until(minute)
        came.append(minute)
        with pace.holding("a request"):
            sent.append(max(hold.due for hold in pace.holds))

    people = [asyncio.create_task(act(minute)) for minute in (602, 600, 601, 700)]
    await asyncio.sleep(0)  # pause: one turn of the loop, in which the tasks begin to wait
    assert (pace.next(), pace.next(3), pace.next(9)) == (600, 602, 700)
    clock.set(DAY.at(603))
    pace.wake()
    await asyncio.gather(*people[:3])
    assert came == sent == [600, 601, 602]
    clock.set(DAY.at(720))
    pace.wake()
    await people[3]
    assert sent[-1] == 720 - FRESH  # who is very late slows the clock, and does not stop it at once
    assert not list(pace.holds)


def test_a_device_numbers_what_it_records_and_keeps_it_until_it_is_sent():
    memory = Device("terminal/t1", "till-1", "s1")
    for n in range(3):
        memory.record("sale", NOON + timedelta(minutes=n), {"n": n})
    assert [upload["seq"] for upload in memory.unsent()] == [1, 2, 3]
    assert memory.unsent() == []
    memory.record("void", NOON, {"n": 0})
    assert [upload["seq"] for upload in memory.unsent()] == [4]
    assert {upload["session"] for upload in memory.recorded} == {"s1"}


def test_a_device_chains_its_uploads_as_the_services_check_it():
    memory = Device("terminal/t1", "till-1", "s1")
    for n in range(3):
        memory.record("sale", NOON, {"n": n, "蜂": ["\n"]})
    taken = [read(UploadIn.model_validate(one), "terminal/t1", NOON, "till-1") for one in memory.unsent()]
    assert [one.fault for one in taken] == [""] * 3
    assert [one.prev_hash for one in taken] == [None, taken[0].link, taken[1].link]


@pytest.mark.parametrize("seed", range(5))
def test_a_backlog_arrives_whole_and_partly_twice(seed: int):
    memory = Device("terminal/t1", "till-1", "s1")
    for n in range(20):
        memory.record("sale", NOON, {"n": n})
    pieces = in_pieces(Random(seed), memory.unsent(), 7)
    arrived = [upload["seq"] for piece in pieces for upload in piece]
    assert set(arrived) == set(range(1, 21))
    assert len(arrived) > 20
    assert max(map(len, pieces)) == 7
