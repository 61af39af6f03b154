"""A bad network on purpose: one TCP port in front of another, whose rules can be changed while bytes flow."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

CHUNK = 64 * 1024
CONNECT_S = 5.0
_RESET = struct.pack("ii", 1, 0)

Match = Callable[[bytes], bool]


@dataclass(eq=False, slots=True)
class Link:
    """One connection through the proxy. `drop_next_reply`: the next bytes that come back are the last, and get lost."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    drop_next_reply: bool = False

    def reset(self) -> None:
        """Both ends see a connection that died."""
        for writer in (self.client, self.server):
            found = writer.get_extra_info("socket")
            if found is not None:
                with suppress(OSError):
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class Proxy:
    """Passes bytes to `target`, a port of 127.0.0.1; with no rule set it is not noticed.

    - `drop_reply`: a request that it answers True for reaches the server, its reply is eaten, the connection dies.
    - `watch`: is shown every request, before it is passed on.
    - `delay`: every piece waits between so many and so many seconds, each way, in order.
    - `blackhole`: a black hole: connections are taken, bytes vanish, nobody is told.
    - `reset()`: all connections die now.

    A "request" is a piece of bytes from the client as it comes; protocols that send one request at a time send it as
    one piece, or begin a piece with it. `counts` counts what the rules did. All of it belongs to one event loop.
    """

    def __init__(self, target: int, seed: int = 0) -> None:
        self.target = target
        self.drop_reply: Match | None = None
        self.watch: Callable[[bytes], None] | None = None
        self.delay: tuple[float, float] | None = None
        self.blackhole = False
        self.counts = Counter[str]()
        self._rng = Random(seed)
        self._links: set[Link] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """The port on which it listens from now on."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=CHUNK)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Ends all connections and listens no more."""
        if self._server:
            self._server.close()
        self.reset()

    def heal(self) -> None:
        """Takes all rules back. What a black hole took is gone, so its connections die."""
        if self.blackhole:
            self.reset()
        self.drop_reply, self.watch, self.delay, self.blackhole = None, None, None, False

    def reset(self) -> None:
        """Every connection dies now."""
        for link in list(self._links):
            link.reset()
            self.counts["reset"] += 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                back, server = await asyncio.open_connection("127.0.0.1", self.target, limit=CHUNK)
        except (OSError, TimeoutError):
            writer.transport.abort()
            return
        link = Link(writer, server)
        self._links.add(link)
        pumps = [asyncio.create_task(self._there(reader, link)), asyncio.create_task(self._back(back, link))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            for pump in pumps:
                pump.cancel()
            for end in (writer, server):
                end.close()

    async def _there(self, reader: asyncio.StreamReader, link: Link) -> None:
        with suppress(OSError):
            while piece := await reader.read(CHUNK):
                if self.watch:
                    self.watch(piece)
                if self.drop_reply and self.drop_reply(piece):
                    link.drop_next_reply = True
                await self._pass(piece, link.server)

    async def _back(self, reader: asyncio.StreamReader, link: Link) -> None:
        with suppress(OSError):
            while piece := await reader.read(CHUNK):
                if link.drop_next_reply:
                    self.counts["dropped"] += 1
                    link.reset()
                    return
                await self._pass(piece, link.client)

    async def _pass(self, piece: bytes, writer: asyncio.StreamWriter) -> None:
        if self.blackhole:
            self.counts["swallowed"] += 1
            return
        if self.delay:
            self.counts["delayed"] += 1
            await asyncio.sleep(self._rng.uniform(*self.delay))  # pause: the fault itself
        writer.write(piece)
        await writer.drain()
