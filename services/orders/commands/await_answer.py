"""Waits for orders to leave `placed`: one query for all waiting requests, not one for each."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from uuid import UUID

from services.kit.database import Pool
from services.orders.repository.queries import answered_orders

EVERY_S = 0.04


class AwaitAnswer:
    """Lets requests wait until an order has left `placed`; polls the database only while a request waits."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiters: dict[UUID, set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, order: UUID, seconds: float) -> None:
        """Return when the order has left `placed`, or after so many seconds."""
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
        # An error ends the task: the waiting requests time out, and the next one starts it again.
        while self._waiters:
            async with self._pool.acquire() as conn:
                answered = await answered_orders(conn, list(self._waiters))
            for order in answered:
                for event in self._waiters.get(order, ()):
                    event.set()
            await asyncio.sleep(EVERY_S)
