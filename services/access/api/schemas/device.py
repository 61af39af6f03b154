"""Requests and responses about enrolment codes and devices."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field

from contracts.values import Bounds, Slug
from services.access.domain.account import Account
from services.access.domain.device import DeviceKey
from services.kit.http.body import Body

Coordinate = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$", description="32 bytes, base64url")]
Signature = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{86}$", description="r and s, 32 bytes each, base64url")]
Thumbprint = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$", description="RFC 7638")]
DeviceId = Annotated[str, Field(max_length=50, pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]*$")]
Ids = Annotated[list[Slug], Field(max_length=100)]


class EnrolmentIn(Body):
    """The terminal or courier that a device is enrolled for, with the sites or stations that it works at."""

    kind: Literal["terminal", "courier"]
    id: DeviceId
    sites: Ids | None = None
    stations: Ids | None = None

    def bounds(self) -> Bounds:
        """Return the bounds of the device: itself, and its places."""
        places = {"sites": self.sites, "stations": self.stations}
        return Bounds.of({f"{self.kind}s": [self.id], **places})


class EnrolmentView(BaseModel):
    """A code, valid once until `expires_at`, and the link with it as text and as QR code. It is shown this once."""

    subject: str
    code: str
    link: str
    qr_svg: str
    expires_at: datetime


class Jwk(Body):
    """A public P-256 key as a JSON Web Key (RFC 7518, 6.2)."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: Coordinate
    y: Coordinate

    def members(self) -> dict[str, str]:
        """Return the coordinates."""
        return {"x": self.x, "y": self.y}


class DeviceIn(Body):
    """A device that enrols. `proof` is its key's signature (ECDSA, SHA-256) over `halfday:enrol:CODE:THUMBPRINT`, with
    the code as 8 capital characters without hyphen."""

    code: Annotated[str, Field(max_length=32)]
    key: Jwk
    proof: Signature


class RenewalIn(Body):
    """A device's new key. Both keys sign `halfday:renew:OLD:NEW`, their thumbprints; `old` must be active."""

    old: Thumbprint
    key: Jwk
    old_proof: Signature
    new_proof: Signature


class DeviceView(BaseModel):
    """An enrolled device: the subject of its tokens, its bounds, and the end of its key."""

    subject: str
    kind: str
    thumbprint: str
    bounds: dict[str, list[str]]
    expires_at: datetime

    @classmethod
    def of(cls, account: Account, key: DeviceKey) -> Self:
        """Return the view of an account and its active key."""
        return cls(
            subject=account.subject,
            kind=account.kind,
            thumbprint=key.thumbprint,
            bounds=account.bounds.plain(),
            expires_at=key.expires_at,
        )


class KeyView(BaseModel):
    """A key of a device; `retired_at` and `revoked_at` are null while it is active."""

    thumbprint: str
    since: datetime
    expires_at: datetime
    retired_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: DeviceKey) -> Self:
        """Return the view of a key."""
        return cls(
            thumbprint=key.thumbprint,
            since=key.since,
            expires_at=key.expires_at,
            retired_at=key.retired_at,
            revoked_at=key.revoked_at,
        )


class DeviceKeysView(BaseModel):
    """A terminal or courier with all keys that its devices had, oldest first."""

    subject: str
    kind: str
    bounds: dict[str, list[str]]
    status: str
    keys: list[KeyView]


class DevicesPage(BaseModel):
    """A page of devices; `next` is the cursor of the next page, null on the last."""

    devices: list[DeviceKeysView]
    next: str | None
