"""Finds the members that orders and joins are for, by the keyed hash of the phone."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from contracts.phone import spelled
from services.kit.transaction.ports import Ports
from services.orders.domain.member import Sought
from services.orders.repository.store import PHONE, MemberStore


@dataclass(frozen=True, slots=True)
class Person:
    """The recipient's phone of an order or join in a community; `order` is the id of the order that it is or may
    become. A member is made where `makes` is true.
    """

    order: UUID
    tenant: str
    community: str
    phone: str
    makes: bool = True


class Members:
    """The members of orders, by `key`, which only orders has; without one there are none."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key

    async def of(self, store: MemberStore, ports: Ports, persons: Sequence[Person]) -> dict[UUID, UUID]:
        """Find or make the members of new orders, and return them by order. One statement for any number of them.

        An order that exists already makes none: its member may have been forgotten. A phone that is no number has none.
        """
        if self._key is None:
            return {}
        return await store.find_or_make_members(
            [
                Sought(one.order, one.tenant, one.community, self.hash(number), ports.new_id(), one.makes)
                for one in persons
                if (number := spelled(one.phone))
            ]
        )

    def name(self, phone: str) -> str | None:
        """Return a person's name within a campaign by the phone, or None where that is no number."""
        number = spelled(phone) if self._key else None
        return f"{PHONE}{self.hash(number).hex()}" if number else None

    def hash(self, number: str) -> bytes:
        """Return the keyed hash of a number in E.164."""
        assert self._key is not None
        return hmac.digest(self._key, number.encode(), "sha256")
