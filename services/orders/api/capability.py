"""Finds callers without an account: by the capability of an order, or by nothing for the route that places one."""

from __future__ import annotations

import re
from uuid import UUID

from contracts.values import Principal
from services.kit.ids import parse_id
from services.orders.domain.capability import CapabilityKey, holder, visitor

_ORDER = re.compile(r"/v1/orders/([^/:]+)(?:[/:].*)?")


class OrderCapabilities:
    """The callers without an account, of a deployment that has a `key`; without one there are none."""

    def __init__(self, key: CapabilityKey | None) -> None:
        self._key = key

    def visitor(self, method: str, path: str, address: str) -> Principal | None:
        """Return the caller without a credential of the route that places an order."""
        if self._key is None or (method, path) != ("POST", "/v1/orders"):
            return None
        return visitor(self._key.digest(address))

    def holder(self, path: str, secret: str) -> Principal | None:
        """Return the holder of the capability of the order in the path; None for another secret, or another path."""
        found = _ORDER.fullmatch(path)
        order = _id(found[1]) if found else None
        if order is None or self._key is None or not self._key.opens(order, secret):
            return None
        return holder(order)


def _id(text: str) -> UUID | None:
    try:
        named = parse_id(text)
        return named if isinstance(named, UUID) else UUID(named)
    except ValueError:
        return None
