"""Passwords as argon2id hashes, of which few are computed at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from services.kit.errors import Overloaded

T = TypeVar("T")

MEMORY_KIB, ROUNDS, PARALLEL = 7 * 1024, 5, 1
"""OWASP's parameters for little memory, which it counts as equal to 19 MiB with 2 rounds. The first choices of RFC 9106
need 64 MiB and 2 GiB for each login, and the whole process has 110 MB. Every password has a second factor beside it.
"""
WAITING = 32
"""One login at a time is checked, by one thread: a flood takes 7 MiB and one core. Beyond 32 that wait, a login is
refused with a 429.
"""


class Passwords:
    """Hashes and verifies in a thread. Unknown names cost the same time: they are verified against a hash of no one."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=ROUNDS, memory_cost=MEMORY_KIB, parallelism=PARALLEL)
        self._thread = ThreadPoolExecutor(1, "passwords")
        self._waiting = 0
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """Return the hash of a new password, with its salt and parameters."""
        return await self._run(self._hasher.hash, password)

    async def verify(self, known: str | None, password: str) -> bool:
        """Return True if the password is that of the hash; None, the hash of an unknown name, is False."""
        if self._nobody is None:
            self._nobody = await self.hash("the password of no one")
        matches = await self._run(self._matches, known or self._nobody, password)
        return matches and known is not None

    def _matches(self, known: str, password: str) -> bool:
        try:
            return self._hasher.verify(known, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[..., T], *arguments: str) -> T:
        if self._waiting >= WAITING:
            raise Overloaded(f"{WAITING} logins are being checked already; try again in a second")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        finally:
            self._waiting -= 1
