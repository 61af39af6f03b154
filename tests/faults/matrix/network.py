"""The proxies of a stack: before Kafka and PostgreSQL for the services, before the APIs for the clients."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Self

import uvloop

from tests.faults.proxy import Proxy

STORES = ("kafka", "postgres")
TURN_S = 0.0005
APIS = ("orders.http", "inventory.http", "dispatch.http")


class Network:
    """A proxy for each name of `targets`; a context manager.

    The proxies run in a thread with an event loop of their own, with a short switch interval, so that a busy client
    slows no service down. `ports` holds the listening ports.
    """

    def __init__(self, targets: Mapping[str, int]) -> None:
        self._proxies = {name: Proxy(port, seed) for seed, (name, port) in enumerate(targets.items())}
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self.ports: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._turn_s = sys.getswitchinterval()
        sys.setswitchinterval(TURN_S)
        self._thread.start()
        for name, proxy in self._proxies.items():
            self.ports[name] = asyncio.run_coroutine_threadsafe(proxy.start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        for proxy in self._proxies.values():
            asyncio.run_coroutine_threadsafe(proxy.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        sys.setswitchinterval(self._turn_s)

    def change(self, rule: Callable[[Proxy], None], *names: str) -> None:
        """Apply a rule to the proxies of these names; it is in effect on return."""

        async def apply() -> None:
            for name in names:
                rule(self._proxies[name])

        asyncio.run_coroutine_threadsafe(apply(), self._loop).result(10)

    def heal(self) -> None:
        """Remove all rules of all proxies."""
        self.change(Proxy.heal, *self._proxies)

    def counts(self, name: str) -> Counter[str]:
        """Return how often the rules of a proxy acted so far."""
        return Counter(self._proxies[name].counts)
