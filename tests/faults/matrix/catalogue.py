"""The faults by name: description, targeted invariants, minimal duration, and the time limit for recovery."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from tests.faults.chaos import WORKERS
from tests.faults.matrix import burst, message_faults, network_faults, processes, storage_faults
from tests.faults.matrix.injection import Injection
from tests.faults.matrix.judge import INVARIANTS

Act = Callable[[Injection], Awaitable[None]]
LONG_WAIT_S = 60.0


@dataclass(frozen=True)
class Fault:
    """A fault of the matrix.

    - - `bound_s`: seconds from the end of the fault until new orders have passed everything that waited.
    - `targets`: the invariants that it aims at; all invariants are checked.
    - `min_s`: seconds that it needs at least.
    """

    name: str
    description: str
    targets: str
    bound_s: float
    inject: Act
    min_s: float = 0.0


RELAY = ("relay.after_claim", "relay.mid_batch", "relay.after_send", "relay.before_mark")
EFFECT = ("inbox.after_insert", "effect.before_commit", "effect.after_commit_before_ack")
ACCEPT = ("accept.before_commit", "accept.after_commit")
SAGA = ("saga.before_step",)
POINTS = (*ACCEPT, *RELAY, *EFFECT, *SAGA, *message_faults.POINTS)
# At least ten deaths at each point, over all processes.
OUT = {"orders.api": dict.fromkeys(ACCEPT, 10)} | dict.fromkeys(WORKERS, dict.fromkeys(RELAY, 4))
IN = {
    "orders.worker": dict.fromkeys(EFFECT, 4),
    "inventory.worker": dict.fromkeys(EFFECT, 2) | dict.fromkeys(SAGA, 10),  # holds expire here
    "dispatch.worker": dict.fromkeys(EFFECT, 4),
}

FAULTS = (
    Fault("1", "kill -9 of any of our processes, at random", "I1 I3 I5 I10", 15, processes.killed),
    Fault("2-out", "killed at each crash point of acceptance and relay", "I1 I3 I6 I8 I10", 15,
          partial(processes.crash_points, plan=OUT)),
    Fault("2-in", "killed at each crash point of consumers and deadlines", "I1 I2 I3 I5 I6 I8", 15,
          partial(processes.crash_points, plan=IN)),
    Fault("2-park", "killed while a record is being dead-lettered", "I10", 15,
          message_faults.killed_while_dead_lettering),
    Fault("2-campaign", "killed midway through the orders of a group-buy", "I1 I3", 15,
          message_faults.killed_while_settling),
    Fault("3", "a zombie: stopped beyond its session, resumed beside its successor", "I2 I3 I5 I6", 30,
          processes.zombies),
    Fault("4", "rolling deploy by SIGTERM, two versions mixed", "I1 I6 I10", 10, processes.deployed),
    Fault("4-types", "rolling deploy, writers first: types unknown to older readers", "I1 I5 I6 I10", 10,
          processes.new_types),
    Fault("5", "rebalance storm, 1 to 4 to 1 consumers", "I3 I5 I6", 30, processes.storm),
    Fault("6", "a handler slower than the poll interval", "I3 I5", 60, processes.slow),
    Fault("7", "poison payloads, unknown type, wrong schema, 2 MB", "I5 I6 I8 I10", 5, message_faults.poisoned),
    Fault("8", "kill -9 of the broker, repeatedly", "I1 I3 I5 I6 I10", 45, storage_faults.broker_killed),
    Fault("9", "broker paused beyond the request time-out", "I1 I3 I5 I6", 45, storage_faults.broker_paused,
          LONG_WAIT_S),
    Fault("12", "kill -9 of a database backend", "I1 I2 I4 I5 I8", 10, storage_faults.backends_killed),
    Fault("13", "kill -9 of the database server at a COMMIT", "I1 I2 I4 I5 I8", 15, storage_faults.server_killed),
    Fault("14", "database paused for up to 30 s", "I1 I3 I5", 20, storage_faults.database_paused),
    Fault("16", "the reply to a COMMIT is lost", "I1 I2 I3 I4 I7 I8", 5, network_faults.commit_reply_lost),
    Fault("17", "the broker's acknowledgement is lost", "I3 I6", 5, network_faults.ack_lost),
    Fault("18", "HTTP answers are lost; repeats arrive out of order", "I1 I2 I3 I4 I7", 15,
          network_faults.answer_lost),
    Fault("24", "all topics are read again from the beginning", "I2 I3 I4 I6 I7 I10", 60, storage_faults.replayed),
    Fault("28", "5 000 orders for 200 units, while processes and backends are killed", "I1 I2 I5", 60, burst.scarce),
)  # fmt: skip
BY_NAME = {fault.name: fault for fault in FAULTS}


async def _short_form(injection: Injection) -> None:
    """Inject for seconds each the faults that no other test of the gate injects."""
    await asyncio.gather(
        network_faults.commit_reply_lost(injection.limited_to(5)), network_faults.answer_lost(injection.limited_to(5))
    )
    await asyncio.gather(
        network_faults.ack_lost(injection.limited_to(4)), message_faults.poisoned(injection.limited_to(2))
    )
    await storage_faults.backends_killed(injection.limited_to(2))
    await storage_faults.server_killed(injection.limited_to(2))
    # Half a minute, twice as long as a request to the broker waits.
    await asyncio.gather(
        storage_faults.broker_paused(injection.limited_to(30)), storage_faults.database_paused(injection.limited_to(35))
    )
    await processes.zombies(injection.limited_to(5))


SHORT = Fault("short", "3, 7, 9, 12, 13, 14, 16, 17 and 18 in short", " ".join(INVARIANTS), 45, _short_form)
"""The fault that the gate runs."""
