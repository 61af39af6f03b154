"""The load generator: an HTTP client with very low CPU cost, so that the server is measured.

It is not behind the port of the actors (`deploy.scenarios.actors.client`): requests are bytes made before the
measurement and answers are not parsed, so that no header is written and no JSON read meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast


@dataclass
class Load:
    """Results of a load: milliseconds of each request in order of completion, and the number of each status."""

    seconds: float = 0.0
    millis: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    def record(self, millis: float, status: int) -> None:
        self.millis.append(millis)
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def quantile(self, part: float) -> float:
        """Return the latency below which this part of the requests stayed, in ms."""
        return quantile(self.millis, part)


def quantile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def request(path: str, body: bytes) -> bytes:
    """Return a buyer's POST request as bytes, ready to be written to a connection."""
    return encode(path, body, {"Authorization": "Bearer buyer-token"})


def encode(path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return a POST request as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: shop", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "\r\n"]).encode() + body


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request in flight at a time; reads answers with a Content-Length."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._answer is None:
            return
        head = self._buffer[:end].lower()
        at = head.index(b"content-length:") + 15
        length = int(head[at:].split(b"\r\n", 1)[0])
        if len(self._buffer) >= end + 4 + length:
            found = int(self._buffer[9:12]), self._buffer[end + 4 :]
            self._buffer = b""
            answer, self._answer = self._answer, None
            answer.set_result(found)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer:
            self._answer.set_exception(error or ConnectionError("the server closed the connection before its answer"))

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; return status and content of its answer. Raises OSError on a dead connection."""
        assert self._transport
        if self._transport.is_closing():
            raise ConnectionError("the server closed the connection before the request")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport:
            self._transport.close()


async def connect(port: int, count: int) -> list[Connection]:
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(Connection, "127.0.0.1", port) for _ in range(count)]
    return [connection for _, connection in made]


async def burst(port: int, requests: Iterable[bytes], connections: int) -> Load:
    """Send all requests as fast as the connections allow; each sends the next when the last one is answered."""
    load, remaining = Load(), iter(requests)
    open_ones = await connect(port, connections)
    began = time.perf_counter()
    await asyncio.gather(*(send_all(connection, remaining, load) for connection in open_ones))
    load.seconds = time.perf_counter() - began
    for connection in open_ones:
        connection.close()
    return load


async def send_all(connection: Connection, remaining: Iterator[bytes], load: Load) -> None:
    """Send the requests on one connection, each after the answer to the one before."""
    for one in remaining:
        sent = time.perf_counter()
        status, _ = await connection.send(one)
        load.record((time.perf_counter() - sent) * 1000, status)


async def paced(port: int, requests: Sequence[bytes], rate: float, connections: int = 64) -> tuple[Load, list[float]]:
    """Send the requests at a steady rate, independent of the answers; also return the wall-clock time each was due.

    A request that finds no free connection waits, and its wait counts.
    """
    load, free = Load(), asyncio.Queue[Connection]()
    for connection in await connect(port, connections):
        free.put_nowait(connection)
    began, wall = time.perf_counter(), time.time()

    async def one(n: int) -> None:
        connection = await free.get()
        status, _ = await connection.send(requests[n])
        load.record((time.perf_counter() - began - n / rate) * 1000, status)
        free.put_nowait(connection)

    tasks = []
    for n in range(len(requests)):
        await asyncio.sleep(began + n / rate - time.perf_counter())
        tasks.append(asyncio.create_task(one(n)))
    await asyncio.gather(*tasks)
    load.seconds = time.perf_counter() - began
    while not free.empty():
        free.get_nowait().close()
    return load, [wall + n / rate for n in range(len(requests))]
