"""A courier's day on a real database: uploads in any order, fenced by epochs; nothing reported is lost."""

import asyncio
from typing import Any

import pytest

from contracts.events.dispatch import AttemptFailed, JobAssigned, JobDelivered, JobLoaded, JobReturned, WaveDone
from tests.integration.dispatch_world import Order, World, hours, upload
from tests.integration.dispatch_world import fresh_world as fresh_world

pytestmark = pytest.mark.stack


async def courier_of(world: World, order: Order) -> str:
    return str((await world.job(order))["courier"])


async def sync(world: World, courier: str, *uploads: dict[str, Any]) -> dict[str, Any]:
    body = {"device": "phone", "uploads": list(uploads)}
    found = await world.call("courier", "POST", f"/couriers/{courier}/sync", json=body)
    assert isinstance(found, dict)
    return found


async def test_a_delivery_with_the_receivers_code(world: World):
    order = Order()
    await world.released([order])
    courier = await courier_of(world, order)
    answer = await sync(
        world,
        courier,
        upload(1, "accept", order),
        upload(2, "load", order),
        upload(3, "arrive", order),
        upload(4, "deliver", order, code="4711", proof="code"),
    )
    assert [told["answer"] for told in answer["uploads"]] == ["applied"] * 4
    assert answer["sessions"] == [{"device": "phone", "session": "s1", "received_through": 4, "gaps": []}]
    delivered = (await world.told(JobDelivered))[0]
    assert (delivered.job, delivered.courier, delivered.epoch, delivered.proof) == (order.job, courier, 1, "code")
    assert delivered.delivered_at == hours(4.5)
    job = await world.job(order)
    assert [(t["n"], t["outcome"]) for t in job["tries"]] == [(1, "delivered")]
    assert [e["kind"] for e in job["evidence"]] == ["accept", "load", "arrive", "deliver"]


async def test_uploads_come_in_any_order_any_number_of_times(world: World):
    order = Order()
    await world.released([order])
    courier = await courier_of(world, order)
    late = await sync(world, courier, upload(3, "deliver", order, code="4711"))
    assert late["sessions"][0]["gaps"] == [[1, 2]]
    rest = [upload(2, "arrive", order), upload(1, "load", order)]
    again = await asyncio.gather(*(sync(world, courier, *rest, upload(3, "deliver", order, code="4711")) for _ in "ab"))
    kinds = [tuple(told["answer"] for told in answer["uploads"]) for answer in again]
    assert sorted(kinds) == [("applied", "applied", "repeated"), ("repeated", "repeated", "repeated")]
    assert {answer["sessions"][0]["received_through"] for answer in again} == {3}
    assert [len(await world.told(kind)) for kind in (JobLoaded, JobDelivered)] == [1, 1]


async def test_other_content_under_a_number_is_kept_as_a_conflict(world: World):
    order = Order()
    await world.released([order])
    courier = await courier_of(world, order)
    await sync(world, courier, upload(1, "load", order))
    answer = await sync(world, courier, upload(1, "return", order, reason="x"))
    assert answer["uploads"][0]["answer"] == "conflict"
    assert await world.told(JobReturned) == []
    assert await world.pool.fetchval("select count(*) from sequenced_conflict") == 1


async def test_a_wrong_code_delivers_nothing_and_is_kept(world: World):
    order = Order()
    await world.released([order])
    courier = await courier_of(world, order)
    answer = await sync(world, courier, upload(1, "deliver", order, code="0000"), upload(2, "deliver", order))
    assert [told["answer"] for told in answer["uploads"]] == ["refused", "refused"]
    assert answer["uploads"][0]["reason"] == "the code is not the receiver's"
    assert await world.told(JobLoaded, JobDelivered) == []
    assert [e["verdict"] for e in (await world.job(order))["evidence"]] == ["refused", "refused"]


async def test_a_stale_couriers_proof_is_evidence_and_the_new_one_delivers(world: World):
    order = Order()
    await world.released([order])
    old = await courier_of(world, order)
    new = "van-2" if old == "van-1" else "van-1"
    path, body = f"/jobs/{order.job}:reassign", {"courier": new, "expected_epoch": 1}
    for _ in range(2):
        assert (await world.call("operator", "POST", path, json=body))["epoch"] == 2
    assert (await world.call("operator", "POST", path, 409, json=body | {"courier": old}))["code"] == "epoch-moved"
    stale = await sync(world, old, upload(1, "deliver", order, code="4711"))
    assert stale["uploads"][0] | {"reason": ""} == {
        "device": "phone",
        "session": "s1",
        "seq": 1,
        "answer": "stale",
        "reason": "",
    }
    assert await world.told(JobDelivered) == []
    evidence = (await world.job(order))["evidence"]
    assert [(e["courier"], e["code_right"], e["verdict"]) for e in evidence] == [(old, True, "stale")]
    assert (await sync(world, new, upload(1, "deliver", order, 2, code="4711")))["uploads"][0]["answer"] == "applied"
    assert [(e.courier, e.epoch) for e in await world.told(JobDelivered)] == [(new, 2)]
    assert [event.epoch for event in await world.told(JobAssigned)] == [1, 2]
    assert (await world.call("operator", "POST", path, 409, json=body | {"expected_epoch": 2}))[
        "code"
    ] == "not-handed-out"


async def test_a_failed_try_is_a_row_and_a_return_ends_the_job(world: World):
    order = Order()
    await world.released([order])
    courier = await courier_of(world, order)
    failed = upload(1, "fail", order, reason="not-home")
    await sync(world, courier, failed, upload(2, "fail", order, reason="wrong-address"))
    await sync(world, courier, failed, upload(3, "return", order, reason="refused"))
    facts = await world.told(JobLoaded, AttemptFailed, JobReturned)
    assert [type(event).__name__ for event in facts] == ["JobLoaded", "AttemptFailed", "AttemptFailed", "JobReturned"]
    assert [event.attempt for event in facts[1:3]] == [1, 2]
    job = await world.job(order)
    assert (job["state"], [t["reason"] for t in job["tries"]]) == ("returned", ["not-home", "wrong-address"])
    assert job["reason"] == facts[-1].reason == "refused"
    await world.desk()
    assert [(event.delivered, event.returned) for event in await world.told(WaveDone)] == [(0, 1)]


async def test_reports_that_make_no_sense_are_answered_and_their_numbers_count(world: World):
    order = Order()
    await world.released([order])
    answer = await sync(
        world,
        "van-1",
        upload(1, "dance", order),
        upload(2, "load", order, colour="red"),
        upload(3, "load", Order()),
    )
    reasons = [told["reason"] for told in answer["uploads"]]
    assert reasons == [
        "'dance' is no kind of report",
        "body/colour: Extra inputs are not permitted",
        "there is no such job",
    ]
    assert answer["sessions"][0]["received_through"] == 3
    await world.call("courier", "POST", "/couriers/van-1/sync", 422, json={"uploads": [upload(1, "load", order)]})


async def test_a_route_shows_the_person_while_the_job_is_open(world: World):
    orders = [Order(n=n) for n in range(3)]
    await world.released(orders)
    courier = await courier_of(world, orders[0])
    route = await world.call("courier", "GET", f"/couriers/{courier}/route")
    etas = [stop["eta"] for stop in route["stops"]]
    assert etas == sorted(etas)
    assert {stop["recipient"]["phone"] for stop in route["stops"]} == {"13800001234"}
    assert all("code" not in stop["recipient"] for stop in route["stops"])
    await sync(world, courier, upload(1, "deliver", orders[0], code="4711"))
    route = await world.call("courier", "GET", f"/couriers/{courier}/route")
    ended = next(stop for stop in route["stops"] if stop["job"] == str(orders[0].job))
    assert (ended["state"], ended["recipient"]) == ("delivered", None)
    await world.call("buyer", "GET", f"/couriers/{courier}/route", 403)


async def test_a_route_is_polled_by_its_tag(world: World):
    order = Order()
    await world.released([order])
    courier = await courier_of(world, order)
    path, login = f"/v1/couriers/{courier}/route", {"Authorization": "Bearer courier"}
    first = await world.http.get(path, headers=login)
    tagged = login | {"If-None-Match": first.headers["etag"]}
    assert (await world.http.get(path, headers=tagged)).status_code == 304
    await sync(world, courier, upload(1, "load", order))
    assert (await world.http.get(path, headers=tagged)).status_code == 200


async def test_what_a_courier_writes_is_kept_and_told_to_nobody(world: World):
    order = Order()
    await world.released([order])
    courier = await courier_of(world, order)
    words = {"reason": "叫了张姐13900000002", "note": "left at 3-302", "proof": "photo of the door"}
    await sync(world, courier, upload(1, "fail", order, **words), upload(2, "deliver", order, code="4711"))
    failed, delivered = await world.told(AttemptFailed, JobDelivered)
    assert (failed.reason, delivered.proof) == ("other", "code")
    evidence = (await world.job(order))["evidence"]
    assert [one["note"] for one in evidence] == ["叫了张姐13900000002; left at 3-302; photo of the door", ""]
    assert await world.tables_with("13900000002") == {"evidence", "sequenced"}
