"""Limits on attempts: how many are permitted in a time, for one phone, one login or one network address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` attempts within `per`."""

    count: int
    per: timedelta


_HOUR = timedelta(hours=1)
OTP_PER_PHONE = (Limit(1, timedelta(minutes=1)), Limit(5, _HOUR))
OTP_PER_ADDRESS = (Limit(20, _HOUR),)
"""Requested codes."""
FAILED_PER_LOGIN = (Limit(5, timedelta(minutes=15)),)
FAILED_PER_ADDRESS = (Limit(20, _HOUR),)
"""Wrong codes, passwords and invitations."""


def wait(times: Sequence[datetime], limits: Sequence[Limit], now: datetime) -> timedelta | None:
    """Return the time until the next attempt is permitted, None where it is permitted now.

    `times` are the attempts that counted, oldest first.
    """
    waits = []
    for limit in limits:
        recent = [at for at in times if now - at < limit.per]
        if len(recent) >= limit.count:
            waits.append(recent[-limit.count] + limit.per - now)
    return max(waits, default=None)


def counted(times: Sequence[datetime], limits: Sequence[Limit], now: datetime) -> tuple[datetime, ...]:
    """Return the attempts with one more at `now`, without those that no limit needs any more."""
    longest = max(limit.per for limit in limits)
    most = max(limit.count for limit in limits)
    return (*[at for at in times if now - at < longest], now)[-most:]
