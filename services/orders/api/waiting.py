"""Waiting for orders to be answered: one query for all who wait, not one for each."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from uuid import UUID

from services.kit.transaction.unit_of_work import Pool
from services.orders.repository.queries import answered

EVERY_S = 0.04


class Waiting:
    """Lets requests wait until an order has left `placed`; asks the database only while somebody waits."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiters: dict[UUID, set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    async def answered(self, order: UUID, seconds: float) -> None:
        """Returns when the order has left `placed`, or after so many seconds."""
        event = asyncio.Event()
        self._waiters[order].add(event)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll())
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())  # not worth a log line
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._waiters[order].discard(event)
            if not self._waiters[order]:
                del self._waiters[order]

    async def _poll(self) -> None:
        # An error ends the task: who waits runs into the time-out, and the next one starts it again.
        while self._waiters:
            async with self._pool.acquire() as conn:
                done = await answered(conn, list(self._waiters))
            for order in done:
                for event in self._waiters.get(order, ()):
                    event.set()
            await asyncio.sleep(EVERY_S)
