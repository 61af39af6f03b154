"""A quota is never exceeded, and no one else's order is refused for it."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.orders.domain.hold import Holder, HoldLimits, over_quota

OWNERS, POOLS = st.sampled_from("abc"), st.sampled_from(("sat@square", "sun@square"))
HOLDERS = st.builds(Holder, OWNERS, st.none() | st.sampled_from(("x", "y")))
LIMITS = st.builds(HoldLimits, st.integers(1, 4), st.integers(1, 6))


@given(LIMITS, st.lists(st.tuples(HOLDERS, POOLS), max_size=20), st.lists(st.tuples(HOLDERS, POOLS), max_size=20))
def test_a_quota_is_used_up_and_never_exceeded(
    limits: HoldLimits, before: list[tuple[Holder, str]], after: list[tuple[Holder, str]]
) -> None:
    held = Counter(holder for one, pool in before for holder, _ in limits.quotas(one, pool))
    wanted = {UUID(int=n + 1): limits.quotas(one, pool) for n, (one, pool) in enumerate(after)}
    refused, counts = over_quota(wanted, held), Counter(held)
    for order, quotas in wanted.items():
        full = [holder for holder, most in quotas if counts[holder] >= most]
        assert (order in refused) == bool(full)
        if order not in refused:
            counts.update(holder for holder, _ in quotas)


def test_a_resident_is_limited_in_each_pool_and_a_client_without_an_account_in_all() -> None:
    limits = HoldLimits(5, 20)
    assert limits.quotas(Holder("resident.anna"), "sat@square") == (("resident.anna/sat@square", 5),)
    assert limits.quotas(Holder("capability.x", "h"), "sat@square") == (("capability.x", 5), ("address/h", 20))
