"""Many concurrent buyers in a separate process, so that their load does not slow down the other clients.

Usage: `python -m tests.faults.matrix.burst_client DATA ORDERS HISTORY`. Each line of ORDERS is an order as JSON, sent
to the stack in DATA until it is answered. HISTORY is written as by other clients. Prints one JSON object: the accepted
orders by id, and the seconds until the last answer.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import uvloop

from deploy.local import endpoints
from deploy.scenarios.actors.buyers import Buyer, View
from deploy.scenarios.actors.client import HttpClient, Refused, Request
from tests.bench.client import Connection, connect, encode
from tests.faults.client import ANSWER_S, HistoryClient
from tests.faults.history import History

AT_ONCE = 200


class MinimalHttpClient(HttpClient):
    """Implements just enough HTTP for answers with a Content-Length, to use little CPU."""

    def __init__(self, found: dict[str, Any]) -> None:
        super().__init__({}, found["tokens"], connections=0, timeout_s=ANSWER_S)
        self._ports = {service: urlsplit(url).port or 0 for service, url in found["http"].items()}
        self._free: list[Connection] = []

    async def exchange(self, request: Request, headers: Mapping[str, str]) -> tuple[int, bytes]:
        async with asyncio.timeout(ANSWER_S):
            port = self._ports[request.service]
            connection = self._free.pop() if self._free else (await connect(port, 1))[0]
            body = orjson.dumps(request.body)
            try:
                answer = await connection.send(encode(request.path, body, headers))
            except BaseException:
                connection.close()
                raise
            self._free.append(connection)
            return answer


async def _place(buyers: Iterator[Buyer], accepted: dict[str, View]) -> None:
    for buyer in buyers:
        with suppress(Refused):  # the history has it
            accepted[buyer.id] = await buyer.place()


async def main(data: Path, orders: Path, history_file: Path) -> dict[str, Any]:
    """Send all orders; return the printed object."""
    history = History(history_file)
    client = HistoryClient(MinimalHttpClient(endpoints.read(data)), history)
    buyers = (Buyer(client, json.loads(line)) for line in orders.read_text().splitlines())
    accepted: dict[str, View] = {}
    began = time.monotonic()
    await asyncio.gather(*(_place(buyers, accepted) for _ in range(AT_ONCE)))
    history.close()
    return {"accepted": accepted, "seconds": round(time.monotonic() - began, 1), "broken": client.broken}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(main(*map(Path, sys.argv[1:])))))
