"""The objects that the use cases of one process share, and the limits that protect what can be guessed."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil

import structlog

from services.access.domain import attempts
from services.access.domain.attempts import Limit
from services.access.otp_sender import FileSender, OtpSender
from services.access.passwords import Passwords
from services.access.repository.store import AccessStore
from services.access.settings import settings
from services.access.vault import Vault
from services.kit.context import Context
from services.kit.http import problems
from services.kit.http.problems import Problem

_log = structlog.get_logger("halfday.access")


@dataclass(frozen=True, slots=True)
class Access:
    """One process of access: its context, secrets, password hashing, and the sender of codes. `door` is the address
    that people reach.
    """

    context: Context
    vault: Vault
    sender: OtpSender
    door: str
    passwords: Passwords = field(default_factory=Passwords)
    _sending: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def now(self) -> datetime:
        """Wall-clock time: a credential lives in real time, whatever a demo day does with business time."""
        return self.context.clock.real()

    def secret(self, size: int = 32) -> str:
        """Return a new secret of so many random bytes, base64url."""
        return base64.urlsafe_b64encode(self.context.ports.token_bytes(size)).rstrip(b"=").decode()

    def send(self, phone: str, code: str, at: datetime) -> None:
        """Send a code without waiting for the provider, so that its speed says nothing about a phone. A failure is
        logged, and the person asks again.
        """
        task = asyncio.create_task(self._send(phone, code, at))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, phone: str, code: str, at: datetime) -> None:
        try:
            await self.sender.send(phone, code, at)
        except Exception as error:
            _log.warning("a one-time code was not sent", error=type(error).__name__)


def open_access(context: Context) -> Access:
    """Return the use cases of a process with its settings and the embedded sender."""
    own = settings()
    return Access(context, Vault(own.pepper(), own.key()), FileSender(own.otp_file), own.door)


class Guarded:
    """Attempts under their locks: made by `guard`. A transaction that is rolled back counts nothing, so a refusal is
    returned, and raised after the commit.
    """

    def __init__(self, store: AccessStore, now: datetime, limits: Mapping[bytes, Sequence[Limit]]) -> None:
        self._store, self._now, self._limits = store, now, limits
        self._times: dict[bytes, list[datetime]] = {}

    async def check(self) -> None:
        """Lock the attempts. Raises a 429 problem with `Retry-After` where a limit is reached."""
        self._times = await self._store.lock_attempts(self._limits)
        waits = [attempts.wait(self._times[one], limits, self._now) for one, limits in self._limits.items()]
        if longest := max((wait for wait in waits if wait), default=None):
            raise too_many(longest)

    async def count(self) -> None:
        """Count one attempt against every limit."""
        for digest, limits in self._limits.items():
            times = attempts.counted(self._times[digest], limits, self._now)
            await self._store.save_attempts(digest, times, self._now + max(limit.per for limit in limits))


async def guard(store: AccessStore, now: datetime, limits: Mapping[bytes, Sequence[Limit]]) -> Guarded:
    """Return the locked attempts of these digests. Raises a 429 problem where a limit is reached."""
    found = Guarded(store, now, limits)
    await found.check()
    return found


def too_many(wait: timedelta) -> Problem:
    """Return a 429 with the seconds to wait; the same for what exists and for what does not."""
    seconds = str(max(1, ceil(wait.total_seconds())))
    detail = f"Too many attempts; try again in {seconds} s"
    return Problem(429, "too-many", problems.TITLES[429], detail, headers={"Retry-After": seconds})


def refused(detail: str) -> Problem:
    """Return a 401: the same answer for an unknown, a used, an expired and a wrong credential."""
    return Problem(401, "refused", problems.TITLES[401], detail)
