"""Uploads of devices with keys: a valid signature counts, anything else waits for staff and takes nothing away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from contracts.events import inventory as i
from contracts.events.access import BoundsOf, DeviceKey, Kind, PrincipalPut, Status
from deploy.scenarios.actors.devices import Device
from services.dispatch.app import SERVICE as DISPATCH
from services.kit.uploads import ingestion, quarantine
from services.kit.uploads.ingestion import accept
from services.kit.uploads.signed import Sender, receive
from services.kit.uploads.upload import UploadIn
from tests.integration.callers import Callers, same_as_unknown
from tests.integration.dispatch_world import Order, World
from tests.integration.dispatch_world import fresh_world as fresh_world
from tests.integration.orders_world import NOW, Orders, open_orders
from tests.integration.signed_world import (
    ELSEWHERE,
    HERE,
    QUARANTINED,
    STALL,
    TERMINAL,
    Stall,
    flagged,
    sell,
    till,
    words,
)
from tests.stack import TestStack
from tests.tokens import DeviceKey as Key

pytestmark = pytest.mark.stack


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as found:
        yield found


@pytest.fixture
def stall(orders: Orders) -> Stall:
    return Stall(orders)


async def test_signed_records_count_once_in_pieces_and_any_order_of_requests(stall: Stall) -> None:
    key = await stall.enrol()
    one = till(key)
    day = [one.record("open", NOW, {"float_fen": 0}), *(sell(one) for _ in range(5))]
    late = await stall.sync(one, day[3:])
    assert (words(late), late["received_through"], late["gaps"]) == (["applied"] * 3, {"s1": 0}, {"s1": [[1, 3]]})
    assert words(await stall.sync(one, day)) == ["applied"] * 3 + ["repeated"] * 3
    two, before = till(key, session="s2"), key.head
    more = [sell(one), sell(two), sell(two)]
    answer = await stall.sync(one, more, prev_hash=before, signature=key.sign(key.head.encode()))
    assert (words(answer), answer["received_through"]) == (["applied"] * 3, {"s1": 7, "s2": 2})
    assert not any(found["flags"] for found in answer["uploads"])
    assert await stall.sold() == 8
    assert await stall.waiting() == []
    rows = await stall.orders.context.pool.fetch("select link, prev_hash from sequenced order by n")
    links = {row["link"] for row in rows}
    assert len(links) == 9
    (start,) = {row["prev_hash"] for row in rows} - links
    assert start == key.thumbprint


def another_amount(body: dict[str, Any]) -> None:
    body["uploads"][0]["body"]["lines"][0]["amount_fen"] = 1


def another_order(body: dict[str, Any]) -> None:
    body["uploads"][0]["body"], body["uploads"][1]["body"] = (one["body"] for one in body["uploads"][1::-1])


FORGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no signature": lambda body: body.pop("signature"),
    "no chain": lambda body: body.pop("prev_hash"),
    "neither": lambda body: (body.pop("signature"), body.pop("prev_hash")),
    "another signature": lambda body: body.update(signature=Key().sign(b"x")),
    "half a signature": lambda body: body.update(signature=body["signature"][:43]),
    "another start": lambda body: body.update(prev_hash="A" * 43),
    "another amount": another_amount,
    "another order": another_order,
    "one record less": lambda body: body["uploads"].pop(),
    "another time": lambda body: body["uploads"][0].update(recorded_at=(NOW - timedelta(hours=1)).isoformat()),
    "another device's name": lambda body: body.update(device="till-9"),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
async def test_without_a_valid_signature_nothing_counts_and_no_number_is_taken(
    stall: Stall, forge: Callable[[dict[str, Any]], Any]
) -> None:
    one = till(await stall.enrol())
    uploads = [sell(one), sell(one)]
    body = {"device": one.name, "market_day": "sat", "uploads": deepcopy(uploads), **one.seal(uploads)}
    forge(body)
    before = flagged("quarantined")
    changes = {"prev_hash": None, "signature": None} | body
    forged = await stall.sync(one, body["uploads"], **changes)
    assert set(words(forged)) == {"quarantined"}
    assert all(found["reason"] for found in forged["uploads"])
    assert (forged["received_through"], await stall.sold()) == ({}, 0)
    waiting = await stall.waiting()
    assert [found["received"] for found in waiting] == [False] * len(body["uploads"])
    assert flagged("quarantined") == before + len(waiting)
    assert words(await stall.sync(one, uploads)) == ["applied", "applied"]
    assert await stall.sold() == 2


async def test_another_devices_key_takes_no_number_of_a_device(stall: Stall) -> None:
    first = till(await stall.enrol())
    await stall.sync(first, [sell(first)])
    thief = Key()
    await stall.enrol(thief)
    poison = till(thief)
    poisoned = [sell(poison), sell(poison), sell(poison)]
    assert words(await stall.sync(poison, poisoned)) == ["quarantined"] * 3
    assert (await stall.send(poison, []))[1]["code"] == "other-device"
    tail = [sell(first, NOW - timedelta(minutes=n)) for n in (2, 1)]
    assert words(await stall.sync(first, tail, ended=True)) == ["applied"] * 2
    assert await stall.sold() == 3


async def test_a_swapped_key_is_refused_before_anything_is_read(stall: Stall) -> None:
    key, other = await stall.enrol(), Key()
    token = stall.callers.issuer.token(TERMINAL, ["sale:submit"], NOW, key, terminals=["stall-1"])
    path = "/v1/terminals/stall-1/sync"
    for proof in (other.proof(token, "POST", f"http://test{path}", NOW), ""):
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
        refused = await stall.callers.http.post(path, content=b"not even JSON", headers=headers)
        assert refused.status_code == 401


async def test_a_record_is_its_link_also_where_only_the_time_differs(stall: Stall) -> None:
    one = till(await stall.enrol())
    copy = deepcopy(one)
    first = sell(one)
    await stall.sync(one, [first])
    again = copy.record("sale", NOW + timedelta(seconds=1), first["body"])
    assert words(await stall.sync(copy, [again])) == ["conflict"]


async def test_a_revocation_comes_before_or_after_a_sync_and_never_in_between(stall: Stall) -> None:
    key, context = await stall.enrol(), stall.orders.context
    one, owner = till(key), "terminal/stall-1"
    await stall.sync(one, [sell(one)])
    more = [sell(one), sell(one)]
    sender = Sender(is_local=False, key=key.thumbprint, **one.seal(more))
    async with context.unit() as uow:
        rows = [UploadIn.model_validate(row) for row in more]
        received = await receive(uow, owner, sender, one.name, rows, uow.now)
        revoking = asyncio.create_task(stall.revoke())
        waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        async with asyncio.timeout(30):
            while not await context.pool.fetchval(waits):
                assert not revoking.done()
                await asyncio.sleep(0.01)
        accepted = await accept(uow, owner, received.uploads, {"pool": "sat@square"})
    assert [str(answer) for answer in accepted.answers] == ["applied"] * 2
    await revoking
    assert await context.pool.fetchval("select frozen_through from sequenced_session") == 3
    assert words(await stall.sync(one, [sell(one)], ended=True)) == ["quarantined"]


async def test_a_renewed_key_continues_the_chain_of_its_device(stall: Stall) -> None:
    old = await stall.enrol()
    one = till(old)
    known, tail = [sell(one)], [sell(one), sell(one)]
    await stall.sync(one, known)
    new = await stall.enrol(device=old.thumbprint)
    new.head = old.head
    one.signer = new
    answer = await stall.sync(one, [*tail, sell(one)])
    assert (words(answer), answer["active"]) == (["applied"] * 3, True)


async def test_a_copied_device_is_seen_as_a_fork(stall: Stall) -> None:
    key = await stall.enrol()
    original = till(key)
    await stall.sync(original, [sell(original), sell(original)])
    copy = deepcopy(original)
    mine, theirs = [sell(original), sell(original)], [sell(copy), sell(copy)]
    assert words(await stall.sync(original, mine)) == ["applied"] * 2
    before = flagged("forked")
    answer = await stall.sync(copy, theirs)
    assert words(answer) == ["conflict"] * 2
    assert flagged("forked") == before + 2
    assert words(await stall.sync(original, mine)) == ["repeated"] * 2
    kept = await stall.orders.context.pool.fetch("select link from sequenced_conflict order by seq")
    assert len(kept) == 2, "both branches are kept"
    assert (await stall.sold(), (await stall.orders.names(STALL)).count("SaleConflicted")) == (4, 2)


async def test_the_other_branch_of_a_revoked_device_is_kept_as_it_was_sent(stall: Stall) -> None:
    one = till(await stall.enrol())
    copy = deepcopy(one)
    await stall.sync(one, [sell(one)])
    other = sell(copy)
    await stall.revoke()
    assert words(await stall.sync(copy, [other], ended=True)) == ["conflict"]
    given = await stall.orders.context.pool.fetchval("select given from sequenced_conflict")
    assert other["body"]["sale"] in given


async def test_a_copy_that_opens_its_own_session_is_seen_too(stall: Stall) -> None:
    key = await stall.enrol()
    original = till(key)
    await stall.sync(original, [sell(original)])
    copied = deepcopy(key)
    await stall.sync(original, [sell(original)])
    copy = till(copied, session="s2")
    answer = await stall.sync(copy, [sell(copy), sell(copy)])
    assert [(found["answer"], found["flags"]) for found in answer["uploads"]] == [
        ("applied", ["forked"]),
        ("applied", []),
    ]
    listed = await stall.callers.call("staff.admin", "GET", "/uploads?flag=forked")
    assert [(row["session"], row["seq"]) for row in listed[1]["uploads"]] == [("s1", 2), ("s2", 1)]


async def test_a_revoked_key_hands_in_its_records_and_staff_decides(stall: Stall) -> None:
    one = till(await stall.enrol())
    known = [sell(one), sell(one)]
    await stall.sync(one, known)
    pending = [sell(one), sell(one), one.record("sale", NOW, {"sale": "no id"})]
    await stall.revoke()
    answer = await stall.sync(one, [*known, *pending], ended=True)
    assert words(answer) == ["repeated"] * 2 + ["quarantined"] * 3
    assert (answer["received_through"], answer["active"], answer["allotment"]) == ({"s1": 5}, False, [])
    assert (answer["prices"], answer["sold_out"]) == ([], [])
    assert words(await stall.sync(one, pending, ended=True)) == ["quarantined"] * 3
    assert await stall.sold() == 2

    waiting = await stall.waiting()
    assert [(row["seq"], row["received"], row["frozen_through"]) for row in waiting] == [
        (3, True, 2),
        (4, True, 2),
        (5, True, 2),
    ]
    assert await stall.waiting(**ELSEWHERE) == []
    first, second, third = (row["id"] for row in waiting)
    why = {"why": "seen on the stall's paper"}
    foreign = await stall.desk("POST", f"/{first}:accept", why, **ELSEWHERE)
    same_as_unknown(foreign, await stall.desk("POST", "/999:accept", why), (str(first), "999"))
    for _ in range(2):
        status, accepted = await stall.desk("POST", f"/{first}:accept", why)
        assert (status, accepted["decision"], accepted["decided_by"]) == (200, "accepted", "staff.desk")
    assert await stall.sold() == 3
    assert (await stall.desk("POST", f"/{first}:refuse", why))[1]["code"] == "decided"
    assert (await stall.desk("POST", f"/{second}:refuse", why))[0] == 200
    assert (await stall.desk("POST", f"/{second}:accept", why))[1]["code"] == "decided"
    status, problem = await stall.desk("POST", f"/{third}:accept", why)
    assert (status, problem["code"]) == (409, "no-effect")
    assert [row["id"] for row in await stall.waiting()] == [third]
    decided = (await stall.desk("GET", "?state=decided"))[1]["uploads"]
    assert [(row["decision"], row["why"]) for row in decided] == [("accepted", why["why"]), ("refused", why["why"])]
    assert await stall.sold() == 3
    answer = await stall.sync(one, pending, ended=True)
    assert words(answer) == ["repeated", "quarantined", "quarantined"]


async def test_staff_accepts_a_record_without_a_signature_once_and_only_under_a_free_number(stall: Stall) -> None:
    one = till(await stall.enrol())
    uploads = [sell(one), sell(one)]
    await stall.sync(one, uploads, signature=None)
    await stall.sync(one, uploads[:1])
    first, second = (row["id"] for row in await stall.waiting())
    assert (await stall.desk("POST", f"/{first}:accept", {"why": "x"}))[1]["code"] == "no-effect"
    assert (await stall.desk("POST", f"/{second}:accept", {"why": "x"}))[0] == 200
    assert await stall.sold() == 2
    assert words(await stall.sync(one, uploads)) == ["repeated"] * 2


async def test_a_second_device_retires_the_first_and_its_open_tail_counts(stall: Stall) -> None:
    old = till(await stall.enrol())
    granted = i.AllotmentGranted(
        pool="sat@square", terminal="stall-1", item="honey", quantity=30, version=1, lease_until=NOW,
        granted_total=30, returned_total=0,
    )  # fmt: skip
    await stall.orders.hear(granted)
    assert (await stall.sync(old, [sell(old)]))["allotment"][0]["granted_total"] == 30
    tail = [sell(old), sell(old)]
    stall.orders.clock.advance(timedelta(seconds=60))
    new = till(await stall.enrol(), "till-2")
    assert (await stall.sync(new, []))["allotment"][0]["granted_total"] == 30, "the allotment stays"
    tail.append(sell(old, NOW + timedelta(seconds=61)))
    tail.append(old.record("sale", NOW, {"sale": str(uuid4()), "lines": []}) | {"recorded_at": "no time"})
    answer = await stall.sync(old, tail[:3], ended=True)
    assert words(answer) == ["applied", "applied", "quarantined"]
    assert (answer["active"], answer["allotment"]) == (False, [])
    assert (await stall.sync(new, [sell(new)]))["active"] is True
    assert await stall.sold() == 4


async def test_a_stolen_device_stops_no_other_one(stall: Stall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MOST", 3)
    monkeypatch.setattr(ingestion, "OPEN_SESSIONS", 4)
    stolen = Key()
    await stall.enrol(stolen)
    await stall.revoke()
    for n in range(3):
        copy = till(stolen, "till-x", f"s{n}")
        await stall.sync(copy, [sell(copy)], ended=True)
    copy = till(stolen, "till-x", "s4")
    status, problem = await stall.send(copy, [sell(copy)], ended=True)
    assert (status, problem["code"]) == (409, "too-many-quarantined")
    assert await stall.orders.context.pool.fetchval("select count(*) from upload_quarantine") == 3
    key = await stall.enrol()
    for n in range(4):
        mine = till(key, "till-2", f"s{n}")
        await stall.sync(mine, [sell(mine)])
    mine = till(key, "till-2", "s4")
    status, problem = await stall.send(mine, [sell(mine)])
    assert (status, problem["code"]) == (409, "too-many-sessions")


async def test_an_expired_key_hands_in_what_counts_and_learns_nothing(stall: Stall) -> None:
    one = till(await stall.enrol())
    answer = await stall.sync(one, [sell(one)], ended=True)
    assert (words(answer), answer["active"]) == (["applied"], False)
    assert (answer["prices"], answer["allotment"]) == ([], [])


async def test_a_key_has_one_device(stall: Stall) -> None:
    one = till(await stall.enrol())
    assert (await stall.sync(one, []))["active"] is True
    assert (await stall.send(one, [], device="till-2"))[1]["code"] == "other-device"


WRONG_FORM: dict[str, tuple[Callable[[list[Any]], Any], str]] = {
    "a fraction": (lambda rows: rows[1]["body"].update(weight=0.5), "#/uploads/1/body/weight"),
    "a large number": (lambda rows: rows[0]["body"].update(n=2**53), "#/uploads/0/body/n"),
    "no NFC": (lambda rows: rows[0].update(kind="e\u0301"), "#/uploads/0/kind"),
    "a hash": (lambda rows: rows[0].update(body_hash="A" * 43), "#/uploads/0/body_hash"),
    "a link": (lambda rows: rows[1].update(prev_hash="A" * 43), "#/uploads/1/prev_hash"),
    "another device": (lambda rows: rows[1].update(device="till-2"), "#/uploads/1/device"),
    "a hole": (lambda rows: rows[1].update(seq=3), "#/uploads/1/seq"),
    "a session that begins later": (lambda rows: rows[1].update(session="s2"), "#/uploads/1/seq"),
}


@pytest.mark.parametrize(("spoil", "place"), WRONG_FORM.values(), ids=WRONG_FORM)
async def test_a_signed_request_of_the_wrong_form_is_told_the_place(
    stall: Stall, spoil: Callable[[list[Any]], Any], place: str
) -> None:
    one = till(await stall.enrol())
    uploads = [sell(one), sell(one)]
    spoiled = deepcopy(uploads)
    spoil(spoiled)
    status, problem = await stall.send(one, uploads, uploads=spoiled)
    assert (status, problem["errors"][0]["pointer"]) == (422, place)
    assert await stall.waiting(**HERE) == []


async def test_a_key_that_has_not_arrived_is_waited_for(stall: Stall) -> None:
    await stall.enrol()
    one = till(Key(), "till-2")
    assert (await stall.send(one, [sell(one)]))[0] == 503


async def test_staff_signs_nothing(stall: Stall) -> None:
    key = await stall.enrol()
    one = till(key)
    body = {"device": "till-1", "market_day": "sat", "uploads": [sell(one)]}
    answer = await stall.callers.call("staff.admin", "POST", "/terminals/stall-1/sync", body)
    assert (answer[0], words(answer[1])) == (200, ["quarantined"])
    assert await stall.waiting() == [], "which no staff of one site decides about"
    assert len((await stall.callers.call("staff.desk", "GET", QUARANTINED))[1]["uploads"]) == 1


async def test_a_couriers_reports_are_signed(world: World) -> None:
    order = Order()
    await world.released([order])
    courier = str((await world.job(order))["courier"])
    key, callers = Key(), Callers(DISPATCH, world.context)
    public = {name: key.public[name] for name in ("x", "y")}
    put = DeviceKey(thumbprint=key.thumbprint, **public, since=NOW, device=key.thumbprint)
    principal = PrincipalPut(
        id=f"courier.{courier}", version=1, kind=Kind.COURIER, scopes=["job:prove"], keys=[put], status=Status.ACTIVE,
        bounds=BoundsOf(couriers=[courier], stations=["guandu"]),
    )  # fmt: skip
    await world.feed(principal)
    phone = Device(f"courier/{courier}", "phone", "s1", signer=key)
    job = {"job": str(order.job), "epoch": 1}
    reports = [phone.record("load", NOW, job), phone.record("fail", NOW, {**job, "reason": "not-home"})]

    async def sync(**changes: Any) -> list[str]:
        body = {"device": "phone", "uploads": reports, **phone.seal(reports), **changes}
        status, answer = await callers.call(
            f"courier.{courier}", "POST", f"/couriers/{courier}/sync", body, device=key, couriers=[courier]
        )
        assert status == 200, answer
        return words(answer)

    assert await sync(signature="A" * 86) == ["quarantined"] * 2
    assert (await world.job(order))["state"] == "assigned"
    stations = {"here": ["guandu"], "there": ["elsewhere"]}
    listed = {
        name: (await callers.call("staff.dispatcher", "GET", QUARANTINED, stations=ids))[1]["uploads"]
        for name, ids in stations.items()
    }
    assert (len(listed["here"]), listed["there"]) == (2, [])
    read = await world.pool.fetch("select subject, action, record from access_log where record like 'upload/%'")
    assert {(row["subject"], row["action"]) for row in read} == {("staff.dispatcher", "read quarantine")}
    assert {row["record"] for row in read} == {f"upload/{row['id']}" for row in listed["here"]}
    assert await sync() == ["applied"] * 2
    assert (await world.job(order))["state"] == "loaded"
    assert "upload_quarantine" in await world.tables_with(str(order.job))
    await world.feed(world.tombstone(order.id))
    assert await world.pool.fetchval("select count(*) from upload_quarantine where given <> ''") == 0
