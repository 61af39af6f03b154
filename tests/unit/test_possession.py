"""Proofs of possession: the one that is accepted, every way in which another is refused, and tokens without one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from contracts.values import Principal
from services.kit.http.authentication import Authentication
from services.kit.http.problems import Problem
from services.kit.identity import possession
from services.kit.identity.possession import Call, InvalidProof, Proofs
from services.kit.identity.tokens import Tokens
from tests.tokens import DeviceKey, Issuer

NOW = datetime(2026, 11, 7, 6, tzinfo=UTC)
KEY, OTHER = DeviceKey(), DeviceKey()
ADDRESS, CALL = "https://halfday.lan:8443/v1/stock", Call("GET", "halfday.lan:8443", "/v1/stock")
TOKEN = "a token"


class World:
    def __init__(self) -> None:
        self.now = NOW
        self.proofs = Proofs(lambda: self.now)

    def check(self, proof: str, call: Call = CALL) -> None:
        self.proofs.check(proof, TOKEN, KEY.thumbprint, call)

    def refusal(self, proof: str) -> str:
        with pytest.raises(InvalidProof) as refused:
            self.check(proof)
        return str(refused.value)


@pytest.fixture
def world() -> World:
    return World()


def prove(key: DeviceKey = KEY, method: str = "GET", address: str = ADDRESS, **more: Any) -> str:
    return key.proof(TOKEN, method, address, NOW, **more)


def test_a_proof_is_for_one_request(world: World) -> None:
    proof = prove()
    world.check(proof)
    assert "used before" in world.refusal(proof)
    world.check(prove())


@pytest.mark.parametrize("address", [ADDRESS, "http://HALFDAY.lan:8443/api/inventory/v1/stock?pool=a"])
def test_directly_and_through_the_front_door(world: World, address: str) -> None:
    world.check(prove(address=address))


def hmac_with_public_key() -> str:
    secret = OctKey.import_key(KEY.public["x"])
    return jwt.encode({"alg": "HS256", "typ": "dpop+jwt", "jwk": KEY.public}, {"jti": "12345678"}, secret)


REFUSED = {
    "none": (lambda: "", "DPoP header"),
    "no JWT": (lambda: "a.b.c", "no JWT"),
    "too much": (lambda: "a" * 3000, "characters"),
    "another algorithm": (hmac_with_public_key, "no JWT"),
    "another key": (lambda: prove(OTHER), "another key"),
    "swapped key in the header": (lambda: prove(OTHER, header={"jwk": KEY.public}), "no JWT"),
    "a private key": (lambda: prove(header={"jwk": {**KEY.public, "d": "A" * 43}}), "no JWT"),
    "no key": (lambda: prove(header={"jwk": None}), "no JWT"),
    "another type": (lambda: prove(header={"typ": "at+jwt"}), "dpop+jwt"),
    "another method": (lambda: prove(method="POST"), "htm"),
    "another path": (lambda: prove(address=ADDRESS + "/x"), "htu"),
    "another host": (lambda: prove(address=ADDRESS.replace("halfday", "elsewhere")), "htu"),
    "another token": (lambda: prove(ath="x"), "ath"),
    "no token": (lambda: prove(ath=None), "ath"),
    "no id": (lambda: prove(jti=None), "no JWT"),
    "a short id": (lambda: prove(jti="1"), "jti"),
    "no time": (lambda: prove(iat=None), "no JWT"),
    "an old one": (lambda: prove(iat=int(NOW.timestamp()) - 61), "iat"),
    "one of later": (lambda: prove(iat=int(NOW.timestamp()) + 11), "iat"),
    "a fraction": (lambda: prove(iat=NOW.timestamp() + 0.5), "iat"),
}


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED)
def test_any_other_proof_is_refused(world: World, make: Any, reason: str) -> None:
    assert reason in world.refusal(make())


def test_an_id_is_forgotten_when_its_proof_is_too_old(world: World) -> None:
    proof = prove()
    world.check(proof)
    world.now = NOW + timedelta(seconds=60)
    assert "used before" in world.refusal(proof)
    world.now = NOW + timedelta(seconds=61)
    assert "iat" in world.refusal(proof)
    world.check(prove(iat=int(world.now.timestamp())))
    assert len(world.proofs._used) == 1


def test_ids_are_bounded_and_a_dropped_one_is_not_accepted_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(possession, "REMEMBERED", 3)
    at = int(NOW.timestamp())
    first = prove(iat=at - 9)
    world.check(first)
    for n in range(8, 3, -1):
        world.check(prove(iat=at - n))
    assert len(world.proofs._used) == 3
    assert "used before" in world.refusal(first)
    world.check(prove())


def authenticate(scheme: str, token: str, proof: str = "", issuer: Issuer | None = None) -> Principal:
    tokens = Tokens((issuer or Issuer()).directory, lambda: NOW)
    headers = {b"authorization": f"{scheme} {token}".encode(), b"host": CALL.host.encode()}
    if proof:
        headers[b"dpop"] = proof.encode()
    return Authentication({}, tokens, Proofs(lambda: NOW)).principal(headers, "GET", CALL.path)


def test_a_token_that_is_bound_to_a_key_needs_a_proof_on_every_request() -> None:
    issuer = Issuer()
    token = issuer.token("terminal.t1", ["stock:read"], NOW, KEY, terminals=["t1"])
    proof = KEY.proof(token, "GET", ADDRESS, NOW)
    assert authenticate("DPoP", token, proof, issuer).key == KEY.thumbprint
    swapped = OTHER.proof(token, "GET", ADDRESS, NOW)
    for scheme, given in (("Bearer", proof), ("Bearer", ""), ("DPoP", ""), ("DPoP", swapped)):
        with pytest.raises(Problem) as refused:
            authenticate(scheme, token, given, issuer)
        assert refused.value.status == 401
        assert refused.value.headers["WWW-Authenticate"].startswith("DPoP ")


def test_a_token_that_is_bound_to_no_key_is_a_bearer_token() -> None:
    issuer = Issuer()
    token = issuer.token("staff.desk", ["stock:read"], NOW)
    assert authenticate("Bearer", token, issuer=issuer).key is None
    with pytest.raises(Problem, match="bound to no key"):
        authenticate("DPoP", token, KEY.proof(token, "GET", ADDRESS, NOW), issuer)
