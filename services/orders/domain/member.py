"""Members: persons in a community, without name or phone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Sought:
    """The member that an order is for, by the keyed hash of the phone; `member` is the id of one that has to be made,
    where `makes` is true.
    """

    order: UUID
    tenant: str
    community: str
    phone_hash: bytes
    member: UUID
    makes: bool
