"""The waker outlives whatever a dying server makes the driver raise."""

import asyncio
from contextlib import suppress

import asyncpg
import pytest

from services.kit.transaction import outbox


class Connection:
    """Raises the next of `errors` at a NOTIFY, and counts those that went through."""

    def __init__(self, errors: list[Exception]) -> None:
        self.errors = errors
        self.notified = asyncio.Event()

    async def execute(self, _statement: str) -> None:
        if self.errors:
            raise self.errors.pop()
        self.notified.set()

    def terminate(self) -> None:
        """Does nothing."""


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        ConnectionResetError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_waker_connects_again_after_any_loss(error: Exception, monkeypatch: pytest.MonkeyPatch):
    conn = Connection([error])

    async def connect(*_: object, **__: object) -> Connection:
        return conn

    monkeypatch.setattr(asyncpg, "connect", connect)
    waker = outbox.Waker("postgresql://nowhere/db")
    running = asyncio.create_task(waker.run())

    async def ask() -> None:
        while not conn.notified.is_set():
            waker()
            await asyncio.sleep(0.01)

    await asyncio.wait_for(ask(), 60)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert conn.notified.is_set()
