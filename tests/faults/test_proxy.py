"""The fault proxy: not noticed without a rule, and each rule does what it says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from tests.faults.proxy import Proxy

Ask = Callable[[str], Awaitable[str]]


@dataclass
class Echo:
    """A server that answers each line with itself and remembers it; `heard` is what reached it."""

    heard: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.heard.append(line.decode().strip())
            writer.write(line)
        writer.close()


@dataclass
class Wire:
    """A server, the proxy before it, and how to talk through it."""

    echo: Echo
    proxy: Proxy
    port: int

    async def talk(self) -> Ask:
        """A connection: `await ask(line)` is the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)

        async def ask(line: str) -> str:
            writer.write(f"{line}\n".encode())
            answer = await asyncio.wait_for(reader.readline(), 0.5)
            if not answer:
                raise ConnectionResetError("closed")
            return answer.decode().strip()

        return ask


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    proxy = Proxy(server.sockets[0].getsockname()[1])
    yield Wire(echo, proxy, await proxy.start())
    await proxy.stop()
    server.close()


async def test_without_a_rule_bytes_pass_as_they_are(wire: Wire):
    ask = await wire.talk()
    assert [await ask(f"line {n} {'x' * 3000}") for n in range(50)] == [f"line {n} {'x' * 3000}" for n in range(50)]
    assert not wire.proxy.done


async def test_an_eaten_reply_is_that_of_a_request_that_was_done(wire: Wire):
    wire.proxy.eat = lambda request: request.startswith(b"COMMIT")
    ask, other = await wire.talk(), await wire.talk()
    assert await ask("select") == "select"
    with pytest.raises(ConnectionError):
        await ask("COMMIT")
    assert wire.echo.heard == ["select", "COMMIT"]
    assert wire.proxy.done == {"eaten": 1}
    assert await other("select") == "select", "only the connection of that request dies"


async def test_a_delay_keeps_the_order(wire: Wire):
    wire.proxy.delay = (0.02, 0.05)
    ask, began = await wire.talk(), time.monotonic()
    assert [await ask(str(n)) for n in range(3)] == ["0", "1", "2"]
    assert time.monotonic() - began >= 6 * 0.02


async def test_a_reset_ends_every_connection_and_new_ones_work(wire: Wire):
    asks = [await wire.talk() for _ in range(3)]
    for ask in asks:
        await ask("here")
    wire.proxy.reset()
    for ask in asks:
        with pytest.raises(ConnectionError):
            await ask("still here")
    assert await (await wire.talk())("again") == "again"
    assert wire.proxy.done == {"reset": 3}


async def test_a_black_hole_takes_everything_and_says_nothing_until_it_is_healed(wire: Wire):
    ask = await wire.talk()
    await ask("before")
    wire.proxy.dark = True
    for one in (ask, await wire.talk()):
        with pytest.raises(TimeoutError):
            await one("into the dark")
    wire.proxy.heal()
    with pytest.raises(ConnectionError):
        await ask("the old connection is broken")
    assert await (await wire.talk())("after") == "after"
    assert wire.echo.heard == ["before", "after"]


async def test_what_is_watched_is_seen_before_it_arrives(wire: Wire):
    seen: list[tuple[bytes, int]] = []
    wire.proxy.watch = lambda request: seen.append((request, len(wire.echo.heard)))
    await (await wire.talk())("one")
    assert seen == [(b"one\n", 0)]


async def test_a_server_that_is_away_is_a_connection_that_dies(wire: Wire):
    wire.proxy.target = 1
    with pytest.raises(ConnectionError):
        await (await wire.talk())("anybody?")
