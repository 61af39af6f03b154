"""A TCP proxy that imitates a faulty network: one port in front of another, with rules that can change at any time."""

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
    """One connection through the proxy. `drop_next_reply`: the next bytes from the server are discarded and the
    connection dies.
    """

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    drop_next_reply: bool = False

    def reset(self) -> None:
        """Abort both ends."""
        for writer in (self.client, self.server):
            found = writer.get_extra_info("socket")
            if found is not None:
                with suppress(OSError):
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class Proxy:
    """Forwards bytes to `target`, a port of 127.0.0.1; transparent while no rule is set.

    - - `drop_reply`: a request for which it returns True reaches the server; the reply is dropped and the connection
      dies.
    - `watch`: is called with every request before it is forwarded.
    - `delay`: every chunk waits a random time in this range of seconds, each way, in order.
    - `blackhole`: connections are accepted, and all bytes are silently discarded.
    - `reset()`: aborts all connections.

    A "request" is a chunk of bytes from the client; protocols that send one request at a time send it as one chunk, or
    begin a chunk with it. `counts` says how often each rule acted. The proxy belongs to one event loop.
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
        """Listen; return the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=CHUNK)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close all connections and stop listening."""
        if self._server:
            self._server.close()
        self.reset()

    def heal(self) -> None:
        """Remove all rules. Connections through a black hole lost bytes, so they are reset."""
        if self.blackhole:
            self.reset()
        self.drop_reply, self.watch, self.delay, self.blackhole = None, None, None, False

    def reset(self) -> None:
        """Abort every connection."""
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
