"""Devices at access: codes, keys, assertions, and the tokens that an outsider verifies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from services.access.commands.signing import keep_keys
from tests.integration.access_world import OPERATOR, Device, World, open_world
from tests.stack import TestStack

pytestmark = pytest.mark.stack


@pytest.fixture
async def world(stack: TestStack) -> AsyncIterator[World]:
    async with open_world(stack) as found:
        yield found


async def test_a_device_enrols_and_gets_tokens_that_an_outsider_verifies(world: World) -> None:
    device = await world.device("S1", sites=["simaochong"])
    answer = await world.token(device.assertion(world.clock.real()))
    assert answer.status_code == 200, answer.text
    assert (answer.headers["cache-control"], answer.json()["token_type"]) == ("no-store", "DPoP")
    keys = await world.call("GET", "/.well-known/jwks.json")
    assert keys.headers["cache-control"] == "public, max-age=300"
    token = jwt.decode(answer.json()["access_token"], KeySet.import_key_set(keys.json()), algorithms=["ES256"])
    assert token.header["typ"] == "at+jwt"
    claims = token.claims
    assert claims["sub"] == "terminal.S1"
    assert claims["cnf"] == {"jkt": device.thumbprint}
    assert claims["bounds"] == {"terminals": ["S1"], "sites": ["simaochong"]}
    assert claims["exp"] - claims["iat"] == 600
    assert "sale:submit" in claims["scope"].split()
    state = await world.state("terminal.S1")
    assert [key.thumbprint for key in state.keys] == [device.thumbprint]


async def test_a_code_is_used_once_and_expires(world: World) -> None:
    code = await world.code()
    assert (await world.post("/v1/devices", Device().enrolment(code))).status_code == 201
    assert (await world.post("/v1/devices", Device().enrolment(code))).status_code == 401
    late = await world.code()
    world.pass_time(600)
    assert (await world.post("/v1/devices", Device().enrolment(late))).status_code == 401


async def test_a_code_as_a_person_types_it(world: World) -> None:
    code = await world.code()
    device = Device()
    body = device.enrolment(code) | {"code": f" {code.lower().replace('-', ' ').replace('1', 'l').replace('0', 'o')} "}
    assert (await world.post("/v1/devices", body)).status_code == 201


async def test_five_wrong_codes_end_the_code_that_they_try(world: World) -> None:
    code = await world.code()
    wrong = code[:-1] + ("A" if code[-1] != "A" else "B")
    for _ in range(5):
        assert (await world.post("/v1/devices", Device().enrolment(wrong))).status_code == 401
    assert (await world.post("/v1/devices", Device().enrolment(code))).status_code == 401


async def test_guesses_at_the_same_time_count_too(world: World) -> None:
    code = await world.code()
    wrong = [code[:-1] + letter for letter in "ABCDEFGH" if letter != code[-1]]
    bodies = [Device().enrolment(one) for one in wrong]
    await asyncio.gather(*(world.at(f"203.0.113.{n}").post("/v1/devices", body) for n, body in enumerate(bodies)))
    assert (await world.post("/v1/devices", Device().enrolment(code))).status_code == 401


async def test_an_address_has_twenty_wrong_codes_an_hour_and_others_are_not_held_up(world: World) -> None:
    body = Device().enrolment("0000-0000")
    answers = [(await world.post("/v1/devices", body)).status_code for _ in range(21)]
    assert answers == [401] * 20 + [429]
    code = await world.code()
    refused = await world.post("/v1/devices", Device().enrolment(code))
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 3600
    assert (await world.at("198.51.100.2").post("/v1/devices", Device().enrolment(code))).status_code == 201
    world.pass_time(3600)
    assert (await world.post("/v1/devices", body)).status_code == 401


@pytest.mark.parametrize(
    ("mine", "others"),
    [
        ("192.0.2.9:4711", "192.0.2.10:4711"),
        ("[2001:db8:1:2::7]:4711", "[2001:db8:1:3::7]:4711"),
    ],
)
async def test_attempts_through_the_door_count_for_the_client_and_not_for_the_door(
    world: World, mine: str, others: str
) -> None:
    body = Device().enrolment("0000-0000")

    async def tried(address: str) -> int:
        header = {"Forwarded": f'for="{address}";host="halfday.lan";proto=https'}
        return (await world.post("/v1/devices", body, headers=header)).status_code

    assert [await tried(mine) for _ in range(21)] == [401] * 20 + [429]
    assert await tried(mine.replace("::7", "::8")) == 429, "another address of the same client"
    assert await tried(others) == 401


async def test_a_proof_is_bound_to_the_key_and_to_the_code(world: World) -> None:
    code, other = await world.code("S1"), await world.code("S2")
    device, thief = Device(), Device()
    stolen = device.enrolment(code) | {"key": thief.jwk}
    assert (await world.post("/v1/devices", stolen)).status_code == 422
    replayed = device.enrolment(code) | {"code": other}
    assert (await world.post("/v1/devices", replayed)).status_code == 422
    assert (await world.post("/v1/devices", device.enrolment(code))).status_code == 201


async def test_a_second_device_retires_the_first_and_keeps_its_key_for_the_open_tail(world: World) -> None:
    first = await world.device("S1")
    world.pass_time(60)
    second = await world.device("S1")
    assert (await world.token(first.assertion(world.clock.real()))).status_code == 401
    assert (await world.token(second.assertion(world.clock.real()))).status_code == 200
    state = await world.state("terminal.S1")
    ends = {key.thumbprint: (key.device, key.retired_at, key.revoked_at) for key in state.keys}
    assert ends == {
        first.thumbprint: (first.thumbprint, world.clock.real(), None),
        second.thumbprint: (second.thumbprint, None, None),
    }
    assert state.version == 2


async def test_a_device_that_has_ended_gets_a_token_to_hand_in_its_records_and_nothing_else(world: World) -> None:
    first = await world.device("S1")
    stranger = Device("terminal.S1")
    await world.device("S1")
    for end in ("retired", "revoked", "expired"):
        assert (await world.token(first.assertion(world.clock.real()))).status_code == 401, end
        answer = await world.token(first.assertion(world.clock.real()), scope="record:hand-in")
        assert answer.status_code == 200, end
        assert answer.json()["scope"] == "record:hand-in"
        wider = await world.token(first.assertion(world.clock.real()), scope="sale:submit")
        assert wider.status_code == 422, end
        assert (await world.token(stranger.assertion(world.clock.real()), scope="record:hand-in")).status_code == 401
        if end == "retired":
            await world.manage("/v1/principals/terminal.S1:revoke")
            state = await world.state("terminal.S1")
            assert [key.revoked_at for key in state.keys] == [world.clock.real()] * 2
        else:
            world.pass_time(200 * 86400)


async def test_two_devices_with_one_code_leave_one_active(world: World) -> None:
    code = await world.code()
    answers = await asyncio.gather(*(world.post("/v1/devices", Device().enrolment(code)) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 401, 401, 401]


async def test_a_key_enrols_for_one_subject_only(world: World) -> None:
    device = await world.device("S1")
    answer = await world.post("/v1/devices", device.enrolment(await world.code("S2")))
    assert (answer.status_code, answer.json()["code"]) == (409, "key-reused")


async def test_an_assertion_is_accepted_once(world: World) -> None:
    device = await world.device()
    assertion = device.assertion(world.clock.real())
    assert (await world.token(assertion)).status_code == 200
    again = await world.token(assertion)
    assert again.status_code == 401
    assert "jti" in again.json()["detail"]


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"iss": "terminal.S2", "sub": "terminal.S2"},
        {"sub": "staff.x"},
        {"exp": 4102444800},
        {"exp": 0},
        {"exp": "soon"},
        {"jti": ""},
        {"jti": "x" * 65},
        {"jti": None},
    ],
)
async def test_a_wrong_claim_is_refused(world: World, claims: dict[str, object]) -> None:
    device = await world.device()
    assert (await world.token(device.assertion(world.clock.real(), **claims))).status_code == 401


async def test_a_foreign_signature_is_refused(world: World) -> None:
    device, thief = await world.device(), Device("terminal.S1")
    now = world.clock.real()
    assert (await world.token(thief.assertion(now))).status_code == 401
    claims = {"iss": "terminal.S1", "sub": "terminal.S1", "aud": "halfday"}
    claims |= {"exp": str(int((now + timedelta(seconds=50)).timestamp())), "jti": "0" * 8}
    assert (await world.token(thief.signed(claims, kid=device.thumbprint))).status_code == 401
    head, body, _ = device.assertion(now).split(".")
    assert (await world.token(f"{head}.{body}.")).status_code == 401
    assert (await world.token("eyJhbGciOiJub25lIn0." + body + ".")).status_code == 401
    assert (await world.token("no token at all")).status_code == 401


async def test_a_key_ends_after_180_days_and_the_old_one_proposes_the_new_one(world: World) -> None:
    old, new = await world.device(), Device("terminal.S1")
    world.pass_time(179 * 86400)
    text = f"halfday:renew:{old.thumbprint}:{new.thumbprint}"
    body = {"old": old.thumbprint, "key": new.jwk, "old_proof": old.sign(text), "new_proof": new.sign(text)}
    thief = Device()
    forged = body | {"old_proof": thief.sign(text)}
    assert (await world.post("/v1/devices:renew", forged)).status_code == 401
    assert (await world.post("/v1/devices:renew", body | {"new_proof": thief.sign(text)})).status_code == 422
    assert (await world.post("/v1/devices:renew", body)).status_code == 201
    assert (await world.post("/v1/devices:renew", body)).status_code == 401
    assert (await world.token(old.assertion(world.clock.real()))).status_code == 401
    assert (await world.token(new.assertion(world.clock.real()))).status_code == 200
    devices = {key.thumbprint: key.device for key in (await world.state("terminal.S1")).keys}
    assert devices == {old.thumbprint: old.thumbprint, new.thumbprint: old.thumbprint}, "it is the same device"
    world.pass_time(180 * 86400)
    assert (await world.token(new.assertion(world.clock.real()))).status_code == 401


async def test_revocation_ends_keys_and_codes_and_a_new_code_gives_access_back(world: World) -> None:
    device, code = await world.device(), await world.code()
    await world.manage("/v1/principals/terminal.S1:revoke")
    await world.manage("/v1/principals/terminal.S1:revoke")
    assert (await world.token(device.assertion(world.clock.real()))).status_code == 401
    assert (await world.post("/v1/devices", Device().enrolment(code))).status_code == 401
    state = await world.state("terminal.S1")
    assert (state.status, state.revoked_at, state.version) == ("revoked", world.clock.real(), 2)
    assert state.keys[0].revoked_at == world.clock.real()
    await world.device()
    assert (await world.state("terminal.S1")).status == "active"


async def test_staff_enrols_within_its_bounds_only(world: World) -> None:
    await world.device("S2", sites=["yanglin"])
    totp = await world.staff("mei", "desk", bounds={"sites": ["simaochong"]})
    headers = await world.staff_token("mei", totp)

    async def asked(id: str, **more: object) -> int:
        body = {"kind": "terminal", "id": id} | more
        return (await world.post("/v1/enrolments", body, headers=headers)).status_code

    assert await asked("S1", sites=["simaochong"]) == 201
    assert await asked("S1", sites=["simaochong", "yanglin"]) == 403
    assert await asked("S1") == 403
    assert await asked("S2", sites=["simaochong"]) == 403, "it would end the device of another site"
    listed = await world.call("GET", "/v1/devices", headers=headers)
    assert listed.json()["devices"] == []


async def test_rotation_keeps_tokens_valid_and_publishes_the_next_key_before_it_signs(world: World) -> None:
    device = await world.device()
    token = (await world.token(device.assertion(world.clock.real()))).json()["access_token"]
    before = (await world.call("GET", "/.well-known/jwks.json")).json()["keys"]
    rotated = await world.manage("/v1/signing-keys:rotate")
    assert rotated["kid"] in {key["kid"] for key in before}
    after = (await world.call("GET", "/.well-known/jwks.json")).json()
    jwt.decode(token, KeySet.import_key_set(after), algorithms=["ES256"])
    assert len(after["keys"]) == 3
    newer = (await world.token(device.assertion(world.clock.real()))).json()["access_token"]
    assert jwt.decode(newer, KeySet.import_key_set(after), algorithms=["ES256"]).header["kid"] == rotated["kid"]


async def test_two_rotations_end_every_key_of_a_lost_backup(world: World) -> None:
    async def published() -> set[str]:
        return {key["kid"] for key in (await world.call("GET", "/.well-known/jwks.json")).json()["keys"]}

    lost = await published()
    await world.manage("/v1/signing-keys:rotate")
    assert (await world.manage("/v1/signing-keys:rotate"))["kid"] not in lost
    world.pass_time(15 * 60)
    assert await keep_keys(world.access)
    assert not await published() & lost
    assert {event.status for event in await world.published() if event.id in lost} >= {"retired"}


async def test_the_private_part_of_a_key_and_the_code_are_nowhere_in_the_database(world: World) -> None:
    code = (await world.code()).replace("-", "")
    pool = world.access.context.pool
    tables = await pool.fetch(
        "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
    )
    content = ""
    for table in tables:
        content += str(await pool.fetch(f"select t::text from {table['relname']} t"))
    assert code[4:] not in content.replace("\\", "")
    assert "PRIVATE" not in content
    assert b"PRIVATE".hex() not in content


async def test_the_local_token_is_refused_through_the_door(world: World) -> None:
    body = {"kind": "terminal", "id": "S1"}
    assert (await world.post("/v1/enrolments", body, headers=OPERATOR)).status_code == 201
    through = OPERATOR | {"Forwarded": "for=203.0.113.9"}
    assert (await world.post("/v1/enrolments", body, headers=through)).status_code == 401
    assert (await world.post("/v1/enrolments", body)).status_code == 401
