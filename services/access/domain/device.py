"""Keys of devices: P-256, identified by their thumbprint (RFC 7638). One active device for each terminal or courier."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

LIFE = timedelta(days=180)
KINDS = ("terminal", "courier")


class UnusableKey(ValueError):
    """A JSON Web Key is not a public P-256 key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKey:
    """The public key of a subject's device. `device` is the thumbprint of the device's first key, the same when a key
    is renewed; None for the first. Records that were made before `retired_at` still count; those that arrive after
    `revoked_at` wait for a decision of staff.
    """

    thumbprint: str
    subject: str
    x: str
    y: str
    since: datetime
    expires_at: datetime
    device: str | None = None
    retired_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def jwk(self) -> dict[str, str | list[str]]:
        """The key as a JSON Web Key."""
        return {"kty": "EC", "crv": "P-256", "x": self.x, "y": self.y}

    def is_active(self, now: datetime) -> bool:
        """Return True if the key may sign at this instant."""
        return self.retired_at is None and self.revoked_at is None and now < self.expires_at


def thumbprint(x: str, y: str) -> str:
    """Return the RFC 7638 thumbprint of a P-256 key, base64url without padding."""
    members = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
    return base64.urlsafe_b64encode(hashlib.sha256(members.encode()).digest()).rstrip(b"=").decode()


def new_key(subject: str, jwk: Mapping[str, str], now: datetime) -> DeviceKey:
    """Return the key of a device that enrols now. Raises `UnusableKey` where it is no point of P-256."""
    _point(jwk["x"], jwk["y"])
    return DeviceKey(
        thumbprint=thumbprint(jwk["x"], jwk["y"]),
        subject=subject,
        x=jwk["x"],
        y=jwk["y"],
        since=now,
        expires_at=now + LIFE,
    )


def retired(keys: Collection[DeviceKey], now: datetime) -> list[DeviceKey]:
    """Return the keys that another one replaces now: the records that they signed before still count."""
    return [replace(key, retired_at=now) for key in keys if key.retired_at is None and key.revoked_at is None]


def revoked(keys: Collection[DeviceKey], now: datetime) -> list[DeviceKey]:
    """Return the keys that are trusted no longer from now on, retired ones included."""
    return [replace(key, revoked_at=now) for key in keys if key.revoked_at is None]


def enrolment_text(code: str, key_thumbprint: str) -> bytes:
    """Return the challenge that a device signs to enrol: bound to the code, so it proves this key for this code."""
    return f"halfday:enrol:{code}:{key_thumbprint}".encode()


def renewal_text(old: str, new: str) -> bytes:
    """Return the text that the old and the new key both sign when the old one proposes the new one; both are
    thumbprints.
    """
    return f"halfday:renew:{old}:{new}".encode()


def verify(key: DeviceKey, signature: str, text: bytes) -> bool:
    """Return True if the signature is the key's: ECDSA with SHA-256, r and s of 32 bytes each in base64url, as
    WebCrypto makes it.
    """
    raw = _bytes(signature)
    if len(raw) != 64:
        return False
    encoded = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    try:
        _point(key.x, key.y).verify(encoded, text, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _point(x: str, y: str) -> ec.EllipticCurvePublicKey:
    try:
        raw = [_bytes(x), _bytes(y)]
        if [len(one) for one in raw] != [32, 32]:
            raise ValueError
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + raw[0] + raw[1])
    except ValueError:
        raise UnusableKey("x and y must be the coordinates of a point of P-256, 32 bytes each in base64url") from None


def _bytes(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
