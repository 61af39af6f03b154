"""Many concurrent buyers in a separate process, so that their load does not slow down the other clients.

Usage: `python -m tests.faults.matrix.burst_client DATA ORDERS HISTORY`. Each line of ORDERS is an order as JSON, sent
to the stack in DATA until it is answered. HISTORY is written as by other clients. Prints one JSON object: the accepted
orders with code and total, and the seconds until the last answer.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import uvloop

from deploy.local import endpoints
from tests.faults.client import ANSWER_S, Client, Request
from tests.faults.history import History, Operation
from tests.faults.load import Order

AT_ONCE = 200
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class MinimalHttpClient(Client):
    """Implements just enough HTTP for answers with a Content-Length, to use little CPU."""

    def __init__(self, found: dict[str, Any], history: History) -> None:
        super().__init__(found, history)
        self._ports = {service: urlsplit(url).port for service, url in found["http"].items()}
        self._free: list[Connection] = []

    async def _exchange(self, request: Request, headers: Mapping[str, str]) -> tuple[int, bytes]:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = self._free.pop() if self._free else await self._open(request.service)
            body = orjson.dumps(request.body)
            lines = [f"{request.method} {request.path} HTTP/1.1", "Host: orders", f"Content-Length: {len(body)}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            writer.write("\r\n".join([*lines, "Content-Type: application/json", "\r\n"]).encode() + body)
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                content = await reader.readexactly(length)
            except BaseException:
                writer.close()
                raise
            self._free.append((reader, writer))
            return int(head[9:12]), content

    async def _open(self, service: str) -> Connection:
        return await asyncio.open_connection("127.0.0.1", self._ports[service])


async def _buyer(client: Client, orders: Iterator[Order], accepted: dict[str, tuple[str, int]]) -> None:
    for order in orders:
        operation = Operation(f"burst-{order.id}", "place", order.id, order.facts)
        answer = await client.send(Request("buyer", "orders", "POST", "/v1/orders", order.body), [operation])
        if answer.ok:
            accepted[order.id] = answer.body["code"], answer.body["total_fen"]


async def main(data: Path, orders: Path, history_file: Path) -> dict[str, Any]:
    """Send all orders; return the printed object."""
    history = History(history_file)
    client = MinimalHttpClient(endpoints.read(data), history)
    bodies = map(json.loads, orders.read_text().splitlines())
    requests, accepted = (Order(body["order_id"], body) for body in bodies), dict[str, tuple[str, int]]()
    began = time.monotonic()
    await asyncio.gather(*(_buyer(client, requests, accepted) for _ in range(AT_ONCE)))
    history.close()
    return {"accepted": accepted, "seconds": round(time.monotonic() - began, 1), "broken": client.broken}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(main(*map(Path, sys.argv[1:])))))
