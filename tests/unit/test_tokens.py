"""Access tokens: the accepted one, and every way in which another is refused."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from contracts.values import Bounds, Principal
from services.kit.identity import tokens
from services.kit.identity.directory import Directory, KnownPrincipal, Point
from services.kit.identity.tokens import InvalidToken, Tokens

NOW = datetime(2026, 11, 7, 6, tzinfo=UTC)
KEY, OTHER = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
SCOPES = frozenset({"sale:submit", "stock:read"})


def point(key: ECKey) -> Point:
    found = key.as_dict(private=False)
    return Point(found["x"], found["y"])


def sign(key: Any = KEY, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token of terminal t1; a claim or header that is None is left out."""
    all_claims = {
        "iss": "halfday", "aud": "halfday", "sub": "terminal.t1", "kind": "terminal", "tenant": "main",
        "scope": "sale:submit stock:read", "bounds": {"sites": ["s1"], "terminals": ["t1"]}, "jti": "1",
        "iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 600, "cnf": {"jkt": "k1"},
    } | claims  # fmt: skip
    all_headers = {"alg": "ES256", "typ": "at+jwt", "kid": "a"} | (header or {})
    given_claims = {name: value for name, value in all_claims.items() if value is not None}
    given_header = {name: value for name, value in all_headers.items() if value is not None}
    return jwt.encode(given_header, given_claims, key, algorithms=["ES256"])


class World:
    def __init__(self) -> None:
        self.directory, self.now = Directory(), NOW
        self.directory.signing_keys["a"] = point(KEY)
        self.tokens = Tokens(self.directory, lambda: self.now)

    def know(self, **changes: Any) -> None:
        known = {
            "version": 1, "active": True, "kind": "terminal", "tenant": "main", "scopes": SCOPES,
            "bounds": Bounds.of({"sites": ["s1"], "terminals": ["t1"]}), "keys": frozenset({"k1"}),
        }  # fmt: skip
        self.directory.principals["terminal.t1"] = KnownPrincipal(**(known | changes))

    def refusal(self, token: str) -> str:
        with pytest.raises(InvalidToken) as refused:
            self.tokens.verify(token)
        return str(refused.value)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("known", [False, True])
def test_a_token_is_its_principal(world: World, known: bool) -> None:
    if known:
        world.know()
    bounds = Bounds(sites=frozenset({"s1"}), terminals=frozenset({"t1"}))
    expected = Principal("terminal.t1", "terminal", SCOPES, bounds, "main", "k1")
    assert world.tokens.verify(sign()) == world.tokens.verify(sign()) == expected


def base64url(header: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()


def unsigned() -> str:
    _, body, _ = sign().split(".")
    return f"{base64url({'alg': 'none', 'typ': 'at+jwt', 'kid': 'a'})}.{body}."


def with_public_key_as_secret() -> str:
    """The classic confusion of algorithms: HMAC with the public key."""
    _, body, _ = sign().split(".")
    signed = f"{base64url({'alg': 'HS256', 'typ': 'at+jwt', 'kid': 'a'})}.{body}"
    mac = hmac.digest(KEY.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


REFUSED = {
    "another key": (lambda: sign(OTHER), "not signed"),
    "no signature": (unsigned, "not signed"),
    "another algorithm": (with_public_key_as_secret, "not signed"),
    "an unknown key id": (lambda: sign(header={"kid": "b"}), "unknown key"),
    "no key id": (lambda: sign(header={"kid": None}), "unknown key"),
    "an id token": (lambda: sign(header={"typ": "JWT"}), "at+jwt"),
    "another issuer": (lambda: sign(iss="elsewhere"), "not for halfday"),
    "another audience": (lambda: sign(aud="elsewhere"), "not for halfday"),
    "a long life": (lambda: sign(exp=int(NOW.timestamp()) + 601), "lives longer"),
    "no end": (lambda: sign(exp=None), "claim"),
    "no subject": (lambda: sign(sub=None), "claim"),
    "scopes as a list": (lambda: sign(scope=["sale:submit"]), "claim"),
    "bounds as a list": (lambda: sign(bounds=["s1"]), "claim"),
    "nothing": (lambda: "", "not signed"),
    "too much": (lambda: "a" * 5000, "characters"),
}


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED)
def test_any_other_token_is_refused(world: World, make: Any, reason: str) -> None:
    assert reason in world.refusal(make())


@given(st.data())
def test_a_token_with_any_other_character_is_refused(data: st.DataObject) -> None:
    world, token = World(), sign()
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABCDabcd0123-_.").filter(lambda text: text != token[at]))
    changed = token[:at] + other + token[at + 1 :]
    try:
        assert world.tokens.verify(changed) == world.tokens.verify(token)  # the last character has unused bits
    except InvalidToken:
        return
    assert at == len(token) - 1


def test_a_token_ends(world: World) -> None:
    token = sign()
    world.now = NOW + timedelta(seconds=600)
    world.tokens.verify(token)  # two clocks may differ by some seconds
    world.now = NOW + timedelta(seconds=606)
    assert "expired" in world.refusal(token)
    assert "expired" in world.refusal(sign(jti="2"))
    world.now = NOW - timedelta(seconds=6)
    assert "expired" in world.refusal(token)


def test_a_verified_token_ends_with_its_signing_key(world: World) -> None:
    token = sign()
    world.tokens.verify(token)
    del world.directory.signing_keys["a"]
    assert "no longer used" in world.refusal(token)
    assert "unknown key" in world.refusal(sign(jti="2"))


def test_a_verified_token_ends_with_its_subject_or_its_key(world: World) -> None:
    token = sign()
    world.tokens.verify(token)
    world.know(active=False)
    assert "revoked" in world.refusal(token)
    world.know(keys=frozenset({"k2"}))
    assert "revoked" in world.refusal(token)
    world.know()
    world.tokens.verify(token)


def test_a_key_that_has_ended_permits_to_hand_in_records_and_nothing_else(world: World) -> None:
    hand_in = sign(scope="record:hand-in")
    for active in (True, False):
        world.know(active=active, keys=frozenset({"k2"}), ended=frozenset({"k1"}))
        assert world.tokens.verify(hand_in).scopes == {"record:hand-in"}
        for other in (sign(), sign(scope="record:hand-in stock:read"), sign(scope="")):
            assert "revoked" in world.refusal(other)
    world.know(keys=frozenset({"k2"}))
    assert "revoked" in world.refusal(hand_in), "a key that this service does not know of"


def test_a_token_has_no_more_than_its_subject_still_has(world: World) -> None:
    token = sign()
    world.know(scopes=frozenset({"stock:read", "ops:admin"}), bounds=Bounds(sites=frozenset()))
    found = world.tokens.verify(token)
    assert (found.scopes, found.bounds) == ({"stock:read"}, Bounds(sites=frozenset()))


def test_a_bounded_number_of_tokens_is_remembered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "REMEMBERED", 3)
    for n in range(5):
        world.tokens.verify(sign(jti=str(n)))
    assert len(world.tokens._verified) == 3
