"""Faults of the network: replies lost after the work was done, requests late and out of order."""

from __future__ import annotations

from random import Random

from tests.faults.matrix.injection import Injection
from tests.faults.matrix.network import APIS
from tests.faults.matrix.storage_faults import COMMIT
from tests.faults.proxy import Match, Proxy

PRODUCE = b"\x00\x00"
"""Kafka's API key 0, after four bytes of length."""


async def commit_reply_lost(injection: Injection) -> None:
    """F16: the database commits, and the client does not receive the reply."""
    rng = Random(injection.rng.random())
    await _drop_replies(injection, lambda request: COMMIT in request and rng.random() < 0.08, "postgres")


async def ack_lost(injection: Injection) -> None:
    """F17: the broker appends, and the relay does not receive the acknowledgement."""
    rng = Random(injection.rng.random())
    await _drop_replies(injection, lambda request: request[4:6] == PRODUCE and rng.random() < 0.15, "kafka")


async def answer_lost(injection: Injection) -> None:
    """F18: the service answers, the answer is lost, and the same request is repeated in any order."""
    rng = Random(injection.rng.random())
    injection.environment.network.change(lambda proxy: setattr(proxy, "delay", (0.0, 0.15)), *APIS)
    await _drop_replies(injection, lambda request: request.startswith(b"POST") and rng.random() < 0.6, *APIS)


async def _drop_replies(injection: Injection, match: Match, *names: str) -> None:
    network = injection.environment.network
    before = {name: network.counts(name)["dropped"] for name in names}
    network.change(lambda proxy: setattr(proxy, "drop_reply", match), *names)
    try:
        await injection.wait_until_over()
    finally:
        network.change(Proxy.heal, *names)
    injection.actions["replies dropped"] += sum(network.counts(name)["dropped"] - before[name] for name in names)
