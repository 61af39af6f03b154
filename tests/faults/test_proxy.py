"""Tests of the fault proxy: transparent without a rule, and each rule does as documented."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from tests.faults.proxy import Proxy

Send = Callable[[str], Awaitable[str]]


@dataclass
class Echo:
    """A server that answers each line with itself; `received` holds all lines."""

    received: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.received.append(line.decode().strip())
            writer.write(line)
        writer.close()


@dataclass
class Wire:
    """A server behind a proxy, and connections through it."""

    echo: Echo
    proxy: Proxy
    port: int

    async def connect(self) -> Send:
        """Open a connection; `await send(line)` returns the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)

        async def send(line: str) -> str:
            writer.write(f"{line}\n".encode())
            answer = await asyncio.wait_for(reader.readline(), 0.5)
            if not answer:
                raise ConnectionResetError("closed")
            return answer.decode().strip()

        return send


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    proxy = Proxy(server.sockets[0].getsockname()[1])
    yield Wire(echo, proxy, await proxy.start())
    await proxy.stop()
    server.close()


async def test_without_a_rule_bytes_pass_as_they_are(wire: Wire):
    send = await wire.connect()
    assert [await send(f"line {n} {'x' * 3000}") for n in range(50)] == [f"line {n} {'x' * 3000}" for n in range(50)]
    assert not wire.proxy.counts


async def test_a_dropped_reply_is_that_of_a_request_that_was_done(wire: Wire):
    wire.proxy.drop_reply = lambda request: request.startswith(b"COMMIT")
    send, other = await wire.connect(), await wire.connect()
    assert await send("select") == "select"
    with pytest.raises(ConnectionError):
        await send("COMMIT")
    assert wire.echo.received == ["select", "COMMIT"]
    assert wire.proxy.counts == {"dropped": 1}
    assert await other("select") == "select", "only the connection of that request dies"


async def test_a_delay_keeps_the_order(wire: Wire):
    wire.proxy.delay = (0.02, 0.05)
    send, began = await wire.connect(), time.monotonic()
    assert [await send(str(n)) for n in range(3)] == ["0", "1", "2"]
    assert time.monotonic() - began >= 6 * 0.02


async def test_a_reset_ends_every_connection_and_new_ones_work(wire: Wire):
    senders = [await wire.connect() for _ in range(3)]
    for send in senders:
        await send("here")
    wire.proxy.reset()
    for send in senders:
        with pytest.raises(ConnectionError):
            await send("still here")
    assert await (await wire.connect())("again") == "again"
    assert wire.proxy.counts == {"reset": 3}


async def test_a_black_hole_takes_everything_and_says_nothing_until_it_is_healed(wire: Wire):
    send = await wire.connect()
    await send("before")
    wire.proxy.blackhole = True
    for one in (send, await wire.connect()):
        with pytest.raises(TimeoutError):
            await one("into the dark")
    wire.proxy.heal()
    with pytest.raises(ConnectionError):
        await send("the old connection is broken")
    assert await (await wire.connect())("after") == "after"
    assert wire.echo.received == ["before", "after"]


async def test_what_is_watched_is_seen_before_it_arrives(wire: Wire):
    watched: list[tuple[bytes, int]] = []
    wire.proxy.watch = lambda request: watched.append((request, len(wire.echo.received)))
    await (await wire.connect())("one")
    assert watched == [(b"one\n", 0)]


async def test_a_server_that_is_away_is_a_connection_that_dies(wire: Wire):
    wire.proxy.target = 1
    with pytest.raises(ConnectionError):
        await (await wire.connect())("hello?")
