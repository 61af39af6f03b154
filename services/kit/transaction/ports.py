"""Ports of a process: what it takes from its surroundings, so that a test or a simulation can give its own."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from services.kit import faults, ids
from services.kit.clock import Clock


@dataclass(frozen=True, slots=True)
class Ports:
    """Time, randomness, ids, crash points and tables of one process; the defaults are the real ones.

    - `clock`: business and wall-clock time; `monotonic`: seconds, for limits on waiting; `sleep`: waits for seconds;
    - `random`: jitter of retries; `token_bytes`: secrets, such as an order's code; `new_id`: UUIDv7 of new rows;
    - `crash_point`: carries out the fault planned for a named point; true only when the caller drops its next step;
    - `store`: opens the service's tables over a connection or pool (`Service.store`).
    """

    clock: Clock
    store: Callable[[Any], Any] = lambda _conn: None
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    random: random.Random = field(default_factory=random.Random)
    token_bytes: Callable[[int], bytes] = secrets.token_bytes
    new_id: Callable[[], UUID] = ids.new_id
    crash_point: Callable[[str], bool] = faults.point
