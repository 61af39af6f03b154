"""The quota of unpaid orders, which hold stock: of a resident in a pool, of a client without an account, of an address.
Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from services.orders.domain.order.policy import Refusal

RESIDENT_KIND = "resident"
Quotas = tuple[tuple[str, int], ...]
"""The holders that an order counts under, each with the most unpaid orders that it may have."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The buyer that holds stock by an unpaid order. `address`: of a client without an account, as a keyed hash."""

    owner: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """The most unpaid orders of a buyer, and of an address from which clients without an account order."""

    of_buyer: int
    of_address: int

    def quotas(self, holder: Holder, pool: str) -> Quotas:
        """Return the quotas of an order from this pool: of a resident in each pool, of other clients in all of them."""
        if holder.address is None:
            return ((f"{holder.owner}/{pool}", self.of_buyer),)
        return (holder.owner, self.of_buyer), (f"address/{holder.address}", self.of_address)


def over_quota(wanted: Mapping[UUID, Quotas], held: Mapping[str, int]) -> dict[UUID, Refusal]:
    """Return the refusals of the new orders that exceed a quota, given the unpaid orders of each holder; in the given
    order, each that is accepted counts for those after it.
    """
    counts, refused = Counter(held), dict[UUID, Refusal]()
    for order, quotas in wanted.items():
        full = next((most for holder, most in quotas if counts[holder] >= most), None)
        if full is None:
            counts.update(holder for holder, _ in quotas)
        else:
            advice = f"{full} orders await their payment already: pay or cancel one, or wait until a hold ends"
            refused[order] = Refusal(429, "too-many-holds", "/payment", advice)
    return refused
