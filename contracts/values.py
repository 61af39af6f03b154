"""Small shared values: ids, money, weight, times and open enumerations, the same in every contract.

Money is integer fen, weight integer grams, a quantity is an integer in the item's own unit (pieces or grams).
Times are aware datetimes (RFC 3339 with offset). Deterministic ids are UUIDv5 under one namespace per purpose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Self
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import AwareDatetime, Field

Fen = Annotated[int, Field(description="money in fen (1/100 yuan)")]
Quantity = Annotated[int, Field(ge=0, description="integer in the item's unit: pieces or grams")]
Slug = Annotated[
    str,
    Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]*$", description="readable id"),
]
Pool = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]*@[A-Za-z0-9][A-Za-z0-9._~-]*$",
        max_length=130,
        description="stock pool: market day @ site",
    ),
]


class Author(StrEnum):
    """Author of a text on a public topic: never a buyer, leader or courier."""

    PRODUCT = "product"
    OPERATOR = "operator"


Token = Annotated[
    str,
    Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:~-]*$", description="id made elsewhere"),
]
Cause = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:~@/-]*$", max_length=300)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 in hex")]
Words = Annotated[str, Author.PRODUCT, Field(description="the product's own words, never a client's")]
OperatorText = Annotated[str, Author.OPERATOR, Field(description="an operator's words; no person's name")]
Instant = Annotated[AwareDatetime, Field(description="RFC 3339 with offset")]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False, description="degrees north, WGS-84")]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False, description="degrees east, WGS-84")]
LocalTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description="HH:MM, UTC+8")]

MOBILE = re.compile(r"(?<![0-9])(?:\+?86[ -]?)?(1[3-9][0-9](?:[ -]?[0-9]{4}){2})(?![0-9])")
"""A mobile number of mainland China in a text; its group is the number, perhaps with spaces or hyphens."""
MOBILE_ID = re.compile(r"(?<![0-9A-Za-z])(?:86)?(1[3-9][0-9]{9})(?![0-9A-Za-z])")
"""The same in an id: alone between marks, for hexadecimal digits hold eleven decimal ones in a row by chance."""

_RESERVATIONS = uuid5(NAMESPACE_URL, "halfday:reservation")
_JOBS = uuid5(NAMESPACE_URL, "halfday:job")


class OpenEnum(StrEnum):
    """An enumeration that may grow inside a major: a value that a reader does not know yet becomes `UNKNOWN`.

    Every subclass defines `UNKNOWN = "unknown"`. In JSON Schema it is a string, so that an old schema still
    accepts a newer value.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls("unknown") if isinstance(value, str) and value != "unknown" else None

    @classmethod
    def __get_pydantic_json_schema__(cls, _core: Any, _handler: Any) -> dict[str, Any]:
        return {"type": "string", "examples": [str(v) for v in cls if v != "unknown"]}


class Channel(OpenEnum):
    """Sales channel of an order."""

    APP = "app"
    GROUP = "group"
    LIVE = "live"
    STALL = "stall"
    UNKNOWN = "unknown"


class Payment(OpenEnum):
    """Payment of an order: on account, already paid, or still to be paid (the stock is then only held)."""

    ON_ACCOUNT = "on_account"
    PREPAID = "prepaid"
    PENDING = "pending"
    UNKNOWN = "unknown"


class Fulfilment(OpenEnum):
    """Way in which the goods reach the buyer."""

    DELIVERY = "delivery"
    PICKUP = "pickup"
    UNKNOWN = "unknown"


class Unit(OpenEnum):
    """Unit of an item's quantity. A jin (斤) is 500 grams and exists only at the HTTP edge."""

    PIECE = "piece"
    GRAM = "gram"
    UNKNOWN = "unknown"


class Reason(OpenEnum):
    """Reason for an end, as a code. Words that a person adds stay in the database of the service that received them."""

    @classmethod
    def of(cls, text: str, note: str = "") -> tuple[Self, str]:
        """Return the code that a client named, and the note. A text that is no code becomes `other` and part of the
        note.
        """
        known = {str(code) for code in cls} - {"unknown"}
        if text in known:
            return cls(text), note
        return cls("other"), "; ".join(filter(None, (text, note)))


class CancelReason(Reason):
    """Reason for a cancellation; only the service uses `paid-too-late`: money came after the hold had ended."""

    CHANGED_MIND = "changed-mind"
    ORDERED_TWICE = "ordered-twice"
    WRONG_ADDRESS = "wrong-address"
    TOO_LATE = "too-late"
    PAID_TOO_LATE = "paid-too-late"
    OTHER = "other"
    UNKNOWN = "unknown"


class UndeliveredReason(Reason):
    """Reason for goods not handed over; only the service uses `not-collected`: a pickup was not fetched by closing
    time.
    """

    NOT_HOME = "not-home"
    REFUSED = "refused"
    WRONG_ADDRESS = "wrong-address"
    DAMAGED = "damaged"
    NOT_COLLECTED = "not-collected"
    OTHER = "other"
    UNKNOWN = "unknown"


class Proof(OpenEnum):
    """Proof that goods were handed over: the code that only the receiver has."""

    CODE = "code"
    UNKNOWN = "unknown"


class LateFact(OpenEnum):
    """Upload that came for a stall's session after it was closed and complete."""

    OPEN = "open"
    SALE = "sale"
    VOID = "void"
    CLOSE = "close"
    UNKNOWN = "unknown"


MAIN_TENANT = "main"
LOCAL_KIND = "local"
"""The kind of the principals of local tokens: they act for any id of their role."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The objects that a principal may act on, by kind of place; None is no bound, an empty set permits nothing."""

    communities: frozenset[str] | None = None
    points: frozenset[str] | None = None
    sites: frozenset[str] | None = None
    stations: frozenset[str] | None = None
    terminals: frozenset[str] | None = None
    couriers: frozenset[str] | None = None
    campaigns: frozenset[str] | None = None

    @classmethod
    def of(cls, given: Mapping[str, Iterable[str] | None]) -> Self:
        """Return the bounds of a token or an event; a kind of place that this build does not know is ignored."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: frozenset(ids) for name, ids in given.items() if name in known and ids is not None})

    def permit(self, kind: str, id: str) -> bool:
        """Return True if the object of this kind of place, such as `sites`, is within the bounds."""
        ids: frozenset[str] | None = getattr(self, kind)
        return ids is None or id in ids

    def plain(self) -> dict[str, list[str]]:
        """Return the bounds as JSON, without those that are None."""
        found = ((one.name, getattr(self, one.name)) for one in fields(self))
        return {name: sorted(ids) for name, ids in found if ids is not None}


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a request. `subject` is an opaque id, `kind` such as `staff` or `terminal`, `scopes` the permitted
    actions, `key` the thumbprint of the device's key (RFC 7638) to which the credential is bound.
    """

    subject: str
    kind: str
    scopes: frozenset[str]
    bounds: Bounds = field(default_factory=Bounds)
    tenant: str = MAIN_TENANT
    key: str | None = None

    @property
    def owner(self) -> str | None:
        """The owner of what the caller makes, its ids and idempotency keys included: its subject, which belongs to one
        tenant. None for a local token, which acts for any subject of its role.
        """
        return None if self.kind == LOCAL_KIND else self.subject

    def may(self, scope: str) -> bool:
        """Return True if the action is permitted; on which objects is for the bounds and the owner to say."""
        return scope in self.scopes


def pool_of(market_day: str, site: str) -> str:
    """Return the stock pool of a site on a market day: the key that its reservations share."""
    return f"{market_day}@{site}"


@lru_cache(maxsize=4096)
def reservation_of(claimant: UUID, pool: str, attempt: int) -> UUID:
    """Return the id of the reservation of an order or campaign in a pool at its n-th attempt; equal on every side."""
    return uuid5(_RESERVATIONS, f"{claimant}/{pool}/{attempt}")


@lru_cache(maxsize=4096)
def job_of(order: UUID, reservation: UUID) -> UUID:
    """Return the id of the delivery job of an order's reservation; equal on every side, before dispatch knows it."""
    return uuid5(_JOBS, f"{order}/{reservation}")


def iso(moment: datetime) -> str:
    """Return the RFC 3339 text of an aware datetime."""
    return moment.isoformat().replace("+00:00", "Z")
