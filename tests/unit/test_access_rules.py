"""Rules of access that need no database: codes, limits, signing keys, permissions, assertions, secrets at rest."""

from __future__ import annotations

import asyncio
import base64
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from cryptography.exceptions import InvalidTag
from joserfc.jwk import ECKey
from pydantic import SecretStr

from contracts.events.access import KeyStatus
from contracts.phone import e164
from contracts.scopes import STAFF
from contracts.values import Bounds, Principal
from services.access import passwords
from services.access.domain import device, signing_key, staff
from services.access.domain.account import Grant, may_enrol, may_grant
from services.access.domain.signing_key import SigningKey
from services.access.otp_sender import FileSender
from services.access.passwords import Passwords
from services.access.settings import AccessSettings
from services.access.vault import Vault
from services.kit.errors import Overloaded, UnusableSettings

NOW = datetime(2026, 11, 7, 4, tzinfo=UTC)


def key(kid: str, status: KeyStatus, age: timedelta = timedelta()) -> SigningKey:
    return SigningKey(kid=kid, x="x", y="y", sealed=b"", status=status, changed_at=NOW - age)


def test_the_thumbprint_is_that_of_rfc_7638_for_a_p256_key() -> None:
    """RFC 7638 has an RSA example; this one is computed by joserfc from the key of RFC 7517, A.1."""
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    }
    assert device.thumbprint(jwk["x"], jwk["y"]) == ECKey.import_key(jwk).thumbprint()


@pytest.mark.parametrize("text", ["138 1234 5678", "+86 138-1234-5678", "008613812345678", "13812345678"])
def test_a_phone_has_one_spelling(text: str) -> None:
    assert e164(text) == "+8613812345678"


@pytest.mark.parametrize("text", ["", "12345", "no number", "+999999999999999"])
def test_other_text_is_no_phone(text: str) -> None:
    assert e164(text) is None


def test_the_totp_codes_are_those_of_rfc_6238() -> None:
    """Appendix B with SHA-1, its last six digits."""
    secret = b"12345678901234567890"
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (2000000000, "279037")):
        at = datetime.fromtimestamp(seconds, UTC)
        assert staff.used_step(secret, code, 0, at) == seconds // 30
        assert staff.used_step(secret, code, seconds // 30, at) is None


def test_the_first_keys_and_a_rotation() -> None:
    assert signing_key.missing([]) == [KeyStatus.CURRENT, KeyStatus.NEXT]
    keys = [key("a", KeyStatus.CURRENT), key("b", KeyStatus.NEXT)]
    assert signing_key.missing(keys) == []
    after = signing_key.rotate(keys, key("c", KeyStatus.NEXT), NOW)
    assert [(one.kid, one.status) for one in after] == [
        ("a", KeyStatus.PREVIOUS),
        ("b", KeyStatus.CURRENT),
        ("c", KeyStatus.NEXT),
    ]
    assert [one.version for one in after] == [2, 2, 1]


def test_a_key_signs_for_thirty_days_and_verifies_until_its_tokens_end() -> None:
    month = timedelta(days=30)
    assert signing_key.is_due([key("a", KeyStatus.CURRENT, month)], NOW)
    assert not signing_key.is_due([key("a", KeyStatus.CURRENT, month - timedelta(seconds=1))], NOW)
    previous = key("a", KeyStatus.PREVIOUS, signing_key.TOKEN_LIFE)
    assert signing_key.ended([previous], NOW) == []
    (ended,) = signing_key.ended([key("a", KeyStatus.PREVIOUS, signing_key.PREVIOUS_LIFE)], NOW)
    assert ended.status is KeyStatus.RETIRED
    assert not ended.is_published


def caller(role: str, **bounds: frozenset[str]) -> Principal:
    return Principal(subject="staff.1", kind="staff", scopes=frozenset(map(str, STAFF[role])), bounds=Bounds(**bounds))


def test_permissions_stay_within_those_of_the_giver() -> None:
    admin = Grant(kind="staff", role="admin", tenant="main", bounds=Bounds())
    leader = Grant(kind="leader", role=None, tenant="main", bounds=Bounds(communities=frozenset({"qifeng"})))
    assert may_grant(caller("admin"), admin)
    assert not may_grant(caller("desk"), admin)
    assert not may_grant(caller("admin", sites=frozenset({"s"})), admin)
    assert may_grant(caller("admin", communities=frozenset({"qifeng"})), leader)
    assert not may_grant(caller("admin", communities=frozenset({"lushan"})), leader)
    other = Grant(kind="leader", role=None, tenant="other", bounds=Bounds())
    assert not may_grant(caller("admin"), other)
    terminal = Grant(
        kind="terminal", role=None, tenant="main", bounds=Bounds(terminals=frozenset({"S1"}), sites=frozenset({"s"}))
    )
    assert may_enrol(caller("desk", sites=frozenset({"s", "t"})), terminal)
    assert not may_enrol(caller("desk", sites=frozenset({"t"})), terminal)


def test_sealed_content_opens_for_its_purpose_only() -> None:
    vault = Vault(b"p" * 32, b"k" * 32)
    sealed = vault.seal("totp/a", b"secret")
    assert vault.open("totp/a", sealed) == b"secret"
    assert b"secret" not in sealed
    for purpose, content in (("totp/b", sealed), ("totp/a", sealed[:-1] + bytes([sealed[-1] ^ 1]))):
        with pytest.raises(InvalidTag):
            vault.open(purpose, content)
    with pytest.raises(InvalidTag):
        Vault(b"p" * 32, b"x" * 32).open("totp/a", sealed)


def test_digests_differ_by_purpose_and_pepper() -> None:
    vault, other = Vault(b"p" * 32, b"k" * 32), Vault(b"q" * 32, b"k" * 32)
    assert len({vault.digest("otp", "1"), vault.digest("phone", "1"), other.digest("otp", "1")}) == 3


async def test_codes_are_in_a_file_of_its_owner_and_leave_it_after_five_minutes(tmp_path: Path) -> None:
    file = tmp_path / "codes.jsonl"
    sender = FileSender(file)
    await sender.send("+8613812345678", "111111", NOW)
    await asyncio.gather(*(sender.send("+8613812345678", f"{n:06}", NOW + timedelta(minutes=4)) for n in range(3)))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text().splitlines()) == 4
    await sender.send("+8613812345678", "222222", NOW + timedelta(minutes=5))
    codes = [orjson.loads(line)["code"] for line in file.read_bytes().splitlines()]
    assert codes[-1] == "222222"
    assert "111111" not in codes


async def test_few_passwords_are_hashed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "WAITING", 2)
    hashing = Passwords()
    known = await hashing.hash("a long password")
    assert known.startswith("$argon2id$v=19$m=7168,t=5,p=1$")
    answers = await asyncio.gather(*(hashing.verify(known, "wrong") for _ in range(4)), return_exceptions=True)
    assert sorted(str(type(answer).__name__) for answer in answers) == ["Overloaded", "Overloaded", "bool", "bool"]
    assert isinstance(next(a for a in answers if isinstance(a, Exception)), Overloaded)
    assert await hashing.verify(known, "a long password")
    assert not await hashing.verify(None, "the password of no one")


@pytest.mark.parametrize("secret", ["", "abc", "zz" * 32, "ab" * 31])
def test_a_weak_secret_is_refused(secret: str) -> None:
    own = AccessSettings(access_pepper=SecretStr(secret), access_key=SecretStr("ab" * 32))
    assert own.key() == b"\xab" * 32
    with pytest.raises(UnusableSettings, match="HALFDAY_ACCESS_PEPPER"):
        own.pepper()


def test_a_point_off_the_curve_is_no_key() -> None:
    off = base64.urlsafe_b64encode(b"\x01" * 32).rstrip(b"=").decode()
    with pytest.raises(device.UnusableKey):
        device.new_key("terminal.S1", {"x": off, "y": off}, NOW)
