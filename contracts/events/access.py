"""Events of access: who may do what, and the keys that its tokens are signed with. No person is in them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from contracts.envelope import Event
from contracts.values import MAIN_TENANT, Instant, OpenEnum, Slug

Coordinate = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_-]{43}$", description="coordinate of a P-256 point, base64url (RFC 7518, 6.2.1)")
]
Thumbprint = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_-]{43}$", description="SHA-256 thumbprint of a public key, base64url (RFC 7638)")
]
ScopeName = Annotated[str, Field(pattern=r"^[a-z]+:[a-z-]+$", max_length=40, description="a name of scopes.py")]


class Kind(OpenEnum):
    """Kind of a principal."""

    STAFF = "staff"
    TERMINAL = "terminal"
    COURIER = "courier"
    LEADER = "leader"
    RESIDENT = "resident"
    HOUSEHOLD = "household"
    STEWARD = "steward"
    PAYMENT = "payment"
    UNKNOWN = "unknown"


class Status(OpenEnum):
    """Status of a principal. Whoever is not active, is refused."""

    ACTIVE = "active"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


class KeyStatus(OpenEnum):
    """Status of a signing key: tokens are signed with the current one; a retired one verifies none."""

    NEXT = "next"
    CURRENT = "current"
    PREVIOUS = "previous"
    RETIRED = "retired"
    UNKNOWN = "unknown"


class AccessEvent(Event, topic="access.principal.v1"):
    """Full state of a principal or of a signing key. The topic is compacted: the last record of a key is the state."""

    id: Slug
    version: int = Field(ge=1, description="counts the states of this id from 1")

    @property
    def key(self) -> str:
        kind = self.TYPE.split(".")[2].removesuffix("-put")
        return f"{kind}/{self.id}"


class BoundsOf(BaseModel):
    """The objects that a principal may act on, by kind of place; null is no bound, an empty list permits nothing."""

    communities: list[Slug] | None = None
    points: list[Slug] | None = None
    sites: list[Slug] | None = None
    stations: list[Slug] | None = None
    terminals: list[Slug] | None = None
    couriers: list[Slug] | None = None
    campaigns: list[Slug] | None = None


class DeviceKey(BaseModel):
    """A public P-256 key of a device. `device` is the thumbprint of the device's first key, the same when a key is
    renewed. Records that were made before `retired_at` still count; those that arrive after `revoked_at` are
    quarantined.
    """

    thumbprint: Thumbprint
    x: Coordinate
    y: Coordinate
    since: Instant
    device: Thumbprint
    retired_at: Instant | None = None
    revoked_at: Instant | None = None


class PrincipalPut(AccessEvent):
    """A principal: `id` is the subject of its tokens, `scopes` are the actions that it may do within its bounds."""

    kind: Kind
    tenant: Slug = MAIN_TENANT
    scopes: list[ScopeName]
    bounds: BoundsOf = BoundsOf()
    keys: list[DeviceKey] = []
    status: Status
    revoked_at: Instant | None = None


class SigningKeyPut(AccessEvent):
    """A public P-256 key that access signs tokens with; `id` is its key id (`kid`)."""

    x: Coordinate
    y: Coordinate
    status: KeyStatus
    retired_at: Instant | None = None
