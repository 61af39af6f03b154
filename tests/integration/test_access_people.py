"""People at access: one-time codes, refresh tokens, invitations, login of staff, revocation."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator

import pytest

from contracts.scopes import STAFF
from services.access.commands.publish import publish_outdated, republish, save_account
from services.access.domain.account import revoked
from services.kit.identity.directory import Directory
from tests.integration.access_world import OPERATOR, PASSWORD, World, open_world
from tests.stack import TestStack, eventually

pytestmark = pytest.mark.stack
PHONE, OTHER = "13812345678", "13912345678"


@pytest.fixture
async def world(stack: TestStack) -> AsyncIterator[World]:
    async with open_world(stack) as found:
        yield found


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


async def test_a_phone_becomes_a_resident_and_stays_the_same_subject(world: World) -> None:
    first = await world.resident(PHONE)
    assert first["kind"] == "resident"
    world.pass_time(61)
    again = await world.resident("+86 138 1234 5678")
    assert again["subject"] == first["subject"]
    assert [event.kind for event in await world.published() if event.id == first["subject"]] == ["resident"]


async def test_no_phone_number_is_kept_or_published(world: World) -> None:
    await world.resident(PHONE)
    rows = await world.access.context.pool.fetch("select payload, headers from outbox")
    assert not any(PHONE.encode() in row["payload"] or PHONE in row["headers"] for row in rows)
    phones = await world.access.context.pool.fetch(
        "select p::text || coalesce(a::text, '') as t from phone p, attempt a"
    )
    assert not any(PHONE in row["t"] for row in phones)


async def test_five_wrong_codes_end_the_code(world: World) -> None:
    code = await world.otp(PHONE)
    for _ in range(5):
        assert (await world.post("/v1/otp:verify", {"phone": PHONE, "code": wrong(code)})).status_code == 401
    assert (await world.post("/v1/otp:verify", {"phone": PHONE, "code": code})).status_code == 401


async def test_guesses_at_the_same_time_count_too(world: World) -> None:
    code = await world.otp(PHONE)
    guesses = [f"{(int(code) + n) % 1_000_000:06}" for n in range(1, 9)]
    asked = (
        world.at(f"203.0.113.{n}").post("/v1/otp:verify", {"phone": PHONE, "code": one})
        for n, one in enumerate(guesses)
    )
    await asyncio.gather(*asked)
    assert (await world.post("/v1/otp:verify", {"phone": PHONE, "code": code})).status_code == 401


async def test_a_code_is_used_once_and_ends_after_five_minutes(world: World) -> None:
    code = await world.otp(PHONE)
    body = {"phone": PHONE, "code": code}
    answers = await asyncio.gather(*(world.post("/v1/otp:verify", body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
    world.pass_time(61)
    late = await world.otp(PHONE)
    world.pass_time(300)
    assert (await world.post("/v1/otp:verify", {"phone": PHONE, "code": late})).status_code == 401


async def test_a_phone_gets_one_code_a_minute_and_five_an_hour(world: World) -> None:
    sent = 0
    for _ in range(70):
        answer = await world.at(f"203.0.113.{sent}").post("/v1/otp", {"phone": PHONE})
        sent += answer.status_code == 202
        world.pass_time(30)
    assert sent == 5, "in 35 minutes"
    refused = await world.post("/v1/otp", {"phone": PHONE})
    assert refused.status_code == 429
    world.pass_time(int(refused.headers["retry-after"]))
    assert (await world.post("/v1/otp", {"phone": PHONE})).status_code == 202


async def test_an_address_gets_twenty_codes_an_hour(world: World) -> None:
    answers = [(await world.post("/v1/otp", {"phone": f"138{n:08}"})).status_code for n in range(21)]
    assert answers == [202] * 20 + [429]


async def test_messages_come_late_twice_or_never(world: World) -> None:
    world.sms.faults = ["late", "", "twice", "lost", "fails", ""]
    await world.post("/v1/otp", {"phone": PHONE})
    world.pass_time(61)
    newest = await world.otp(PHONE)
    world.sms.arrive()
    late = world.sms.code()
    if late != newest:
        assert (await world.post("/v1/otp:verify", {"phone": PHONE, "code": late})).status_code == 401
    assert (await world.post("/v1/otp:verify", {"phone": PHONE, "code": newest})).status_code == 200
    world.pass_time(61)
    twice = await world.otp(PHONE)
    assert world.sms.delivered[-1] == world.sms.delivered[-2]
    assert (await world.post("/v1/otp:verify", {"phone": PHONE, "code": twice})).status_code == 200
    for phone in (OTHER, "13712345678"):  # lost, and the provider is away: the answer is the same
        assert (await world.post("/v1/otp", {"phone": phone})).status_code == 202
    await world.delivered()
    world.pass_time(61)
    body = {"phone": OTHER, "code": await world.otp(OTHER)}
    assert (await world.post("/v1/otp:verify", body)).status_code == 200


async def test_the_answers_for_known_and_unknown_phones_are_the_same(world: World) -> None:
    await world.resident(PHONE)
    world.pass_time(61)
    known = await world.post("/v1/otp", {"phone": PHONE})
    unknown = await world.post("/v1/otp", {"phone": OTHER})
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    bad = [await world.post("/v1/otp:verify", {"phone": p, "code": "000000"}) for p in (PHONE, OTHER, "13712345678")]
    assert len({(answer.status_code, answer.content) for answer in bad}) == 1


async def test_a_refresh_token_rotates_and_its_reuse_ends_the_family(world: World) -> None:
    first = (await world.resident())["refresh_token"]
    second = (await world.refresh(first)).json()["refresh_token"]
    third = await world.refresh(second)
    assert third.status_code == 200
    assert (await world.refresh(first)).status_code == 401
    assert (await world.refresh(third.json()["refresh_token"])).status_code == 401, "the whole family ended"


async def test_a_reuse_at_the_same_time_ends_the_family(world: World) -> None:
    token = (await world.resident())["refresh_token"]
    answers = await asyncio.gather(*(world.refresh(token) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401]
    (good,) = (answer for answer in answers if answer.status_code == 200)
    assert (await world.refresh(good.json()["refresh_token"])).status_code == 401


async def test_another_family_of_the_same_person_lives_on(world: World) -> None:
    phone = (await world.resident())["refresh_token"]
    world.pass_time(61)
    tablet = (await world.resident())["refresh_token"]
    await world.refresh(phone)
    assert (await world.refresh(phone)).status_code == 401
    assert (await world.refresh(tablet)).status_code == 200


async def test_refresh_tokens_live_by_kind(world: World) -> None:
    secret = await world.invitation("leader", bounds={"communities": ["qifeng"]})
    body = {"secret": secret, "phone": PHONE, "code": await world.otp(PHONE)}
    leader = (await world.post("/v1/invitations:accept", body)).json()
    resident = await world.resident(OTHER)
    world.pass_time(30 * 86400)
    assert (await world.refresh(leader["refresh_token"])).status_code == 401
    assert (await world.refresh(resident["refresh_token"])).status_code == 200


async def test_an_invited_resident_becomes_a_leader_under_the_same_subject(world: World) -> None:
    before = await world.resident(PHONE)
    world.pass_time(61)
    secret = await world.invitation("leader", bounds={"communities": ["qifeng"], "points": ["p1"]})
    body = {"secret": secret, "phone": PHONE, "code": await world.otp(PHONE)}
    accepted = await world.post("/v1/invitations:accept", body)
    assert accepted.status_code == 201, accepted.text
    assert (accepted.json()["subject"], accepted.json()["kind"]) == (before["subject"], "leader")
    state = await world.state(before["subject"])
    assert state.bounds.communities == ["qifeng"]
    assert "campaign:write" in state.scopes
    world.pass_time(61)
    again = body | {"code": await world.otp(PHONE)}
    assert (await world.post("/v1/invitations:accept", again)).status_code == 401


async def test_staff_logs_in_with_password_and_code(world: World) -> None:
    totp = await world.staff("Mei", "admin")
    headers = await world.staff_token("mei", totp)
    listed = await world.call("GET", "/v1/principals", headers=headers)
    (found,) = listed.json()["principals"]
    assert (found["login"], found["role"], found["status"]) == ("mei", "admin", "active")


async def test_the_session_is_a_safe_cookie_and_ends(world: World) -> None:
    totp = await world.staff("mei")
    world.pass_time(30)
    answer = await world.login("mei", totp)
    cookie = answer.headers["set-cookie"]
    for part in ("__Host-", "HttpOnly", "Secure", "SameSite=lax", "Path=/", "Max-Age=43200"):
        assert part in cookie
    headers = {"Cookie": cookie.partition(";")[0]}
    grant = {"grant_type": "session"}
    assert (await world.post("/v1/token", grant, headers=headers)).status_code == 200
    assert (await world.post("/v1/token", grant)).status_code == 401
    world.pass_time(12 * 3600)
    assert (await world.post("/v1/token", grant, headers=headers)).status_code == 401
    answer = await world.login("mei", totp)
    headers = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
    assert (await world.post("/v1/logout", headers=headers)).status_code == 204
    assert (await world.post("/v1/token", grant, headers=headers)).status_code == 401


async def test_a_totp_step_is_used_once(world: World) -> None:
    totp = await world.staff("mei")
    assert (await world.login("mei", totp)).status_code == 401, "the step of the invitation"
    world.pass_time(30)
    answers = await asyncio.gather(*(world.login("mei", totp) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401]
    world.pass_time(30)
    assert (await world.login("mei", totp, code="000000")).status_code == 401
    assert (await world.login("mei", totp)).status_code == 200


async def test_five_failures_hold_up_a_name_whether_it_exists_or_not(world: World) -> None:
    totp = await world.staff("mei")
    world.pass_time(30)
    for name in ("mei", "no-one"):
        codes = [(await world.login(name, totp, "wrong")).status_code for _ in range(6)]
        assert codes == [401] * 5 + [429]
    assert (await world.login("mei", totp)).status_code == 429
    world.pass_time(15 * 60)
    assert (await world.login("mei", totp)).status_code == 200


async def test_known_and_unknown_names_get_the_same_answer_in_about_the_same_time(world: World) -> None:
    totp = await world.staff("mei")
    took: dict[str, list[float]] = {"mei": [], "no-one": []}
    bodies = set()
    for n in range(8):
        for name, times in took.items():
            world.pass_time(15 * 60)
            began = time.perf_counter()
            answer = await world.at(f"203.0.113.{n}").login(name, totp, "a wrong password")
            times.append(time.perf_counter() - began)
            bodies.add((answer.status_code, answer.content))
    assert len(bodies) == 1
    known, unknown = (statistics.median(times) for times in took.values())
    assert 1 / 3 < known / unknown < 3, (known, unknown)


async def test_no_one_gives_more_than_they_have(world: World) -> None:
    totp = await world.staff("mei", "admin", bounds={"sites": ["simaochong"]})
    headers = await world.staff_token("mei", totp)

    async def invited(**body: object) -> int:
        return (await world.post("/v1/invitations", body, headers=headers)).status_code

    assert await invited(kind="staff", role="desk", bounds={"sites": ["simaochong"]}) == 201
    assert await invited(kind="staff", role="desk") == 403
    assert await invited(kind="staff", role="desk", bounds={"sites": ["yanglin"]}) == 403
    desk = await world.staff("li", "desk")
    assert (
        await world.post("/v1/invitations", {"kind": "leader"}, headers=await world.staff_token("li", desk))
    ).status_code == 403


async def test_a_foreign_principal_does_not_exist(world: World) -> None:
    await world.device("S2", sites=["yanglin"])
    totp = await world.staff("mei", "admin", bounds={"sites": ["simaochong"]})
    headers = await world.staff_token("mei", totp)
    foreign = await world.post("/v1/principals/terminal.S2:revoke", headers=headers)
    unknown = await world.post("/v1/principals/terminal.S9:revoke", headers=headers)
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert foreign.json()["detail"].replace("S2", "S9") == unknown.json()["detail"]
    assert (await world.state("terminal.S2")).status == "active"


async def test_revocation_ends_staff_and_people_at_once(world: World) -> None:
    totp = await world.staff("mei")
    headers = await world.staff_token("mei", totp)
    subject = (await world.call("GET", "/v1/principals", headers=headers)).json()["principals"][0]["subject"]
    person = await world.resident()
    for one in (subject, person["subject"]):
        assert (await world.manage(f"/v1/principals/{one}:revoke"))["status"] == "revoked"
    await eventually(lambda: refused(world, headers))
    world.pass_time(61)
    assert (await world.login("mei", totp)).status_code == 401
    assert (await world.refresh(person["refresh_token"])).status_code == 401
    body = {"phone": PHONE, "code": await world.otp(PHONE)}
    assert (await world.post("/v1/otp:verify", body)).status_code == 401


async def refused(world: World, headers: dict[str, str]) -> bool:
    return (await world.call("GET", "/v1/principals", headers=headers)).status_code == 401


async def test_a_process_of_access_knows_its_principals_as_every_service_does(world: World) -> None:
    totp = await world.staff("mei", "desk")
    device = await world.device()
    principals, context = Directory(), world.access.context
    await principals.refresh(context.pool)
    assert principals.principals["terminal.S1"].keys == {device.thumbprint}
    (mei,) = (one for subject, one in principals.principals.items() if subject.startswith("staff."))
    assert mei.scopes == STAFF["desk"]
    headers = await world.staff_token("mei", totp)
    assert (await world.call("GET", "/v1/devices", headers=headers)).status_code == 200
    assert (await world.call("GET", "/v1/principals", headers=headers)).status_code == 403


async def test_what_an_older_version_published_otherwise_is_published_again(world: World) -> None:
    await world.device()
    await world.staff("mei", "desk")
    context = world.access.context
    assert await publish_outdated(context) == 0
    before = {event.key: event.version for event in await world.published()}
    await context.pool.execute("delete from signing_key")
    await context.pool.execute("delete from principal where subject = 'terminal.S1'")
    await context.pool.execute("update principal set scopes = '{order:read}' where kind = 'staff'")
    assert await publish_outdated(context) == 4, "two keys, a device, and the staff of a role that gained scopes"
    after = {event.key: event.version for event in await world.published()}
    assert after == {key: version + 1 for key, version in before.items()}
    assert await publish_outdated(context) == 0


async def test_a_republication_waits_for_a_change_and_the_change_not_for_it(world: World) -> None:
    """Both lock accounts and then publish; a deadlock would end one of them."""
    await world.device("A1", "courier")
    await world.device()
    context = world.access.context
    async with context.unit() as uow:
        account = await uow.store.lock_account("terminal.S1")
        again = asyncio.create_task(republish(context))
        await eventually(lambda: context.pool.fetchval("select exists (select from pg_locks where not granted)"))
        await save_account(uow, revoked(account, world.clock.real()))
    assert await again == 4
    assert (await world.state("terminal.S1")).version == 3


async def test_who_is_invited_again_after_a_revocation_has_no_old_logon(world: World) -> None:
    before = await world.resident(PHONE)
    await world.manage(f"/v1/principals/{before['subject']}:revoke")
    world.pass_time(61)
    secret = await world.invitation("leader")
    body = {"secret": secret, "phone": PHONE, "code": await world.otp(PHONE)}
    accepted = (await world.post("/v1/invitations:accept", body)).json()
    assert accepted["subject"] == before["subject"]
    assert (await world.refresh(before["refresh_token"])).status_code == 401
    assert (await world.refresh(accepted["refresh_token"])).status_code == 200


async def test_an_invitation_of_staff_is_used_once_and_expires(world: World) -> None:
    secret = await world.invitation("staff", role="desk")
    opened = (await world.post("/v1/invitations:open", {"secret": secret})).json()
    assert opened["totp_secret"] == (await world.post("/v1/invitations:open", {"secret": secret})).json()["totp_secret"]
    body = {"secret": secret, "login": "mei", "password": PASSWORD, "totp": "000000"}
    assert (await world.post("/v1/invitations:accept", body)).status_code == 422
    world.pass_time(3 * 86400)
    assert (await world.post("/v1/invitations:open", {"secret": secret})).status_code == 401
    assert (await world.post("/v1/invitations:accept", body)).status_code == 401


async def test_expired_rows_are_deleted(world: World) -> None:
    await world.code()
    await world.resident()
    await world.invitation("leader")
    world.pass_time(200 * 86400)
    async with world.access.context.unit() as uow:
        deleted = await uow.store.prune(world.clock.real())
    assert {name for name, count in deleted.items() if count} >= {"enrolment", "invitation", "refresh_token", "attempt"}


async def test_republish_sends_every_state_again(world: World) -> None:
    await world.device()
    await world.resident()
    before = {event.key: event.version for event in await world.published()}
    assert (await world.manage("/v1/principals:republish"))["published"] == len(before)
    after = {event.key: event.version for event in await world.published()}
    assert after == {key: version + 1 for key, version in before.items()}


async def test_bad_input_says_which_field(world: World) -> None:
    answer = await world.post("/v1/otp", {"phone": "12345"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["pointer"] == "#/phone"
    answer = await world.post("/v1/invitations", {"kind": "leader", "role": "desk"}, headers=OPERATOR)
    assert answer.status_code == 422
    assert (await world.post("/v1/token", {"grant_type": "password"})).status_code == 422
