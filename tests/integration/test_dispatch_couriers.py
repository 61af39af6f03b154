"""A courier's day on a real database: uploads in any order, fenced by epochs; nothing reported is lost."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.events.dispatch import AttemptFailed, JobAssigned, JobDelivered, JobLoaded, JobReturned, WaveDone
from services.dispatch.commands import courier_reports
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
    assert [one["answer"] for one in answer["uploads"]] == ["applied"] * 4
    assert answer["sessions"] == [{"device": "phone", "session": "s1", "received_through": 4, "gaps": []}]
    delivered = (await world.published(JobDelivered))[0]
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
    kinds = [tuple(one["answer"] for one in answer["uploads"]) for answer in again]
    assert sorted(kinds) == [("applied", "applied", "repeated"), ("repeated", "repeated", "repeated")]
    assert {answer["sessions"][0]["received_through"] for answer in again} == {3}
    assert [len(await world.published(kind)) for kind in (JobLoaded, JobDelivered)] == [1, 1]


async def test_other_content_under_a_number_is_kept_as_a_conflict(world: World):
    order = Order()
    await world.released([order])
    courier = await courier_of(world, order)
    await sync(world, courier, upload(1, "load", order))
    answer = await sync(world, courier, upload(1, "return", order, reason="x"))
    assert answer["uploads"][0]["answer"] == "conflict"
    assert await world.published(JobReturned) == []
    assert await world.pool.fetchval("select count(*) from sequenced_conflict") == 1


async def test_a_wrong_code_delivers_nothing_and_is_kept(world: World):
    order = Order()
    await world.released([order])
    courier = await courier_of(world, order)
    answer = await sync(world, courier, upload(1, "deliver", order, code="0000"), upload(2, "deliver", order))
    assert [one["answer"] for one in answer["uploads"]] == ["refused", "refused"]
    assert answer["uploads"][0]["reason"] == "the code is not the receiver's"
    assert await world.published(JobLoaded, JobDelivered) == []
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
    assert (stale["uploads"][0]["seq"], stale["uploads"][0]["answer"]) == (1, "stale")
    assert await world.published(JobDelivered) == []
    evidence = (await world.job(order))["evidence"]
    assert [(e["courier"], e["code_right"], e["verdict"]) for e in evidence] == [(old, True, "stale")]
    assert (await sync(world, new, upload(1, "deliver", order, 2, code="4711")))["uploads"][0]["answer"] == "applied"
    assert [(e.courier, e.epoch) for e in await world.published(JobDelivered)] == [(new, 2)]
    assert [event.epoch for event in await world.published(JobAssigned)] == [1, 2]
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
    facts = await world.published(JobLoaded, AttemptFailed, JobReturned)
    assert [type(event).__name__ for event in facts] == ["JobLoaded", "AttemptFailed", "AttemptFailed", "JobReturned"]
    assert [event.attempt for event in facts[1:3]] == [1, 2]
    job = await world.job(order)
    assert (job["state"], [t["reason"] for t in job["tries"]]) == ("returned", ["not-home", "wrong-address"])
    assert job["reason"] == facts[-1].reason == "refused"
    await world.run_planning()
    assert [(event.delivered, event.returned) for event in await world.published(WaveDone)] == [(0, 1)]


async def test_reports_that_make_no_sense_are_kept_and_hold_up_no_other(world: World):
    order = Order()
    await world.released([order])
    courier = await courier_of(world, order)
    bad = [
        upload(1, "dance", order),
        upload(2, "load", order, colour="red"),
        upload(3, "fail", order, reason="a\x00b"),
        upload(4, "load", order, 2**70),
        {**upload(5, "load", order), "body_hash": "A" * 43},
        {**upload(6, "load", order), "body": "load"},
    ]
    answer = await sync(world, courier, *bad, upload(7, "load", Order()), upload(8, "load", order))
    assert [one["answer"] for one in answer["uploads"]] == ["kept"] * 6 + ["refused", "applied"]
    reasons = [one["reason"] for one in answer["uploads"]]
    assert reasons[0] == "unknown kind of report 'dance', expected accept, load, arrive, deliver, fail, return"
    assert reasons[1] == "body/colour: Extra inputs are not permitted"
    assert reasons[2] == "body: text must not contain a NUL character"
    assert reasons[6] == "the job does not exist"
    assert answer["sessions"][0]["received_through"] == 8
    assert len(await world.published(JobLoaded)) == 1
    listed = (await world.call("operator", "GET", "/parked"))["parked"]
    assert [one["scope"] for one in listed] == [f"courier/{courier}/phone/s1/{n}" for n in range(1, 7)]
    await world.call("courier", "POST", f"/couriers/{courier}/sync", 422, json={"uploads": [upload(1, "load", order)]})


async def test_a_kept_report_counts_when_a_later_version_can_read_it(world: World, monkeypatch: pytest.MonkeyPatch):
    order = Order()
    await world.released([order])
    courier = await courier_of(world, order)
    with monkeypatch.context() as older:
        older.setattr(courier_reports, "judge", lambda one: replace(one, fault="not of this version"))
        await sync(world, courier, upload(1, "load", order))
    assert await world.published(JobLoaded) == []
    scope = {"scope": f"courier/{courier}/phone/s1/1"}
    results = (await world.call("operator", "POST", "/parked:redrive", json=scope))["results"]
    assert [(one["done"], one["error"]) for one in results] == [(1, None)]
    assert len(await world.published(JobLoaded)) == 1
    assert (await sync(world, courier, upload(1, "load", order)))["uploads"][0]["answer"] == "repeated"


async def test_a_courier_that_nobody_knows_uploads_nothing(world: World):
    body = {"device": "phone", "uploads": [upload(1, "load", Order())]}
    refused = await world.call("courier", "POST", "/couriers/nobody/sync", 503, json=body)
    assert refused["detail"] == "courier nobody is not in dispatch's catalogue yet; retry shortly"
    assert await world.pool.fetchval("select count(*) from sequenced_session") == 0


async def test_a_phone_with_a_broken_clock_delivers(world: World):
    order = Order()
    await world.released([order])
    courier = await courier_of(world, order)
    at = "9999-12-31T23:59:59-12:00"
    answer = await sync(world, courier, upload(1, "deliver", order, code="4711") | {"recorded_at": at})
    assert (answer["uploads"][0]["answer"], answer["uploads"][0]["flags"]) == ("applied", ["clock-invalid"])
    (delivered,) = await world.published(JobDelivered)
    assert (delivered.clock_invalid, delivered.delivered_at) == (True, world.clock.now())
    job = await world.job(order)
    assert (job["tries"][0]["clock_invalid"], job["evidence"][0]["clock_invalid"]) == (True, True)


async def test_five_wrong_codes_lock_an_epoch_within_one_sync(world: World):
    order = Order()
    await world.released([order])
    courier = await courier_of(world, order)
    tries = [upload(n, "deliver", order, code=f"{n:04}") for n in range(1, 8)]
    answer = await sync(world, courier, *tries, upload(8, "deliver", order, code="4711"))
    reasons = [one["reason"] for one in answer["uploads"]]
    assert reasons[:5] == ["the code is not the receiver's"] * 5
    assert all(reason.startswith("needs-desk: ") for reason in reasons[5:])
    assert {one["answer"] for one in answer["uploads"]} == {"refused"}
    assert await world.published(JobDelivered) == []
    assert (await world.job(order))["wrong_codes"] == 5
    again = await sync(world, courier, upload(9, "deliver", order, code="4711"))
    assert again["uploads"][0]["reason"].startswith("needs-desk: "), "also in another sync"
    body = {"courier": courier, "expected_epoch": 1}
    await world.call("operator", "POST", f"/jobs/{order.job}:reassign", json=body)
    assert (await sync(world, courier, upload(10, "deliver", order, 2, code="4711")))["uploads"][0][
        "answer"
    ] == "applied"


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


async def test_a_forgotten_job_does_not_show_its_door_for_ever(world: World):
    order = Order()
    await world.released([order])
    courier = await courier_of(world, order)
    until = datetime.fromisoformat((await world.job(order))["slot_until"])
    for late, shown in ((timedelta(hours=3, minutes=59), True), (timedelta(hours=4), False)):
        world.clock.set(until + late)
        (stop,) = (await world.call("courier", "GET", f"/couriers/{courier}/route"))["stops"]
        assert (stop["state"], stop["recipient"] is not None) == ("assigned", shown)


async def test_no_door_is_shown_after_the_last_shift(world: World):
    order = Order()
    await world.released([order])
    courier = await courier_of(world, order)
    path, login = f"/v1/couriers/{courier}/route", {"Authorization": "Bearer courier"}

    async def person() -> Any:
        return (await world.call("courier", "GET", f"/couriers/{courier}/route"))["stops"][0]["recipient"]

    shift = {"market_day": "sat", "from": hours(3).isoformat(), "until": hours(6).isoformat()}
    await world.call("courier", "POST", f"/couriers/{courier}/shifts", 201, json=shift)
    seen = await world.http.get(path, headers=login)
    for hour, shown in ((5.99, True), (6, False)):  # the slot ends at 6.5
        world.clock.set(hours(hour))
        assert bool(await person()) is shown
    tagged = await world.http.get(path, headers=login | {"If-None-Match": seen.headers["etag"]})
    assert tagged.status_code == 200, "the phone is told"
    await world.call(
        "courier", "POST", f"/couriers/{courier}/shifts", 201, json=shift | {"until": hours(7).isoformat()}
    )
    assert await person()


async def test_what_shows_a_door_is_in_no_cache(world: World):
    order = Order()
    await world.released([order])
    courier = await courier_of(world, order)
    for role, path in (
        ("courier", f"couriers/{courier}/route"),
        ("operator", "waves/noon/plan"),
        ("operator", "waves/noon/problem"),
    ):
        answer = await world.http.get(f"/v1/{path}", headers={"Authorization": f"Bearer {role}"})
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store"), path


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
    failed, delivered = await world.published(AttemptFailed, JobDelivered)
    assert (failed.reason, delivered.proof) == ("other", "code")
    evidence = (await world.job(order))["evidence"]
    assert [one["note"] for one in evidence] == ["叫了张姐13900000002; left at 3-302; photo of the door", ""]
    assert await world.tables_with("13900000002") == {"evidence", "sequenced"}
