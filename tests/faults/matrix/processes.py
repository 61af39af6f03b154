"""Faults of our own processes: killed, frozen, replaced, joined by others, slow; and killed at each crash point."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping

import psutil

from tests.faults.chaos import SERVICES
from tests.faults.client import Ask
from tests.faults.matrix import next_version
from tests.faults.matrix.injection import Fire
from tests.stack import eventually

OURS = tuple(f"{service}.{role}" for service in SERVICES for role in ("api", "worker"))
SESSION_S, POLL_S = 10.0, 60.0
"""After so long without a heartbeat, or without a poll, Kafka gives a consumer's partitions to another."""


async def killed(fire: Fire) -> None:
    """F1: any of our six processes, again and again."""
    while fire.goes_on:
        await fire.kill(fire.rng.choice(OURS))


async def zombies(fire: Fire) -> None:
    """F3: each service's worker stops beyond its session while another takes its work over, then goes on."""
    while fire.goes_on:
        for service in SERVICES:
            async with fire.one_more(service):
                worker = psutil.Process(fire.pid(f"{service}.worker"))
                await fire.freeze([worker], SESSION_S + fire.rng.uniform(2, 5))
            if not fire.goes_on:
                return


async def deployed(fire: Fire) -> None:
    """F4: one process after another is ended by SIGTERM and comes back as the other version."""
    marks = fire.house.folder("newer")
    while fire.goes_on:
        is_newer = bool(list(marks.iterdir()))
        for name in OURS:
            (marks / name).unlink(missing_ok=True) if is_newer else (marks / name).touch()
            await fire.end(name, signal.SIGTERM)
    for mark in marks.iterdir():
        mark.unlink()
        await fire.end(mark.name, signal.SIGTERM)
    log = await asyncio.to_thread(fire.house.observer.catch_up)
    fire.did["events with a newer field"] += sum(next_version.FIELD in seen.data for seen in log)


async def new_types(fire: Fire) -> None:
    """F4: writers are upgraded before readers, so inventory meets a type that it does not know and one that it never
    needs to know. Then it is upgraded, and the operator redrives. It stays upgraded, as orders may have more to send.
    """
    marks, client = fire.house.folder("newer"), fire.shift.client
    await _upgrade(fire, "orders")
    redrive = {"scope": next_version.OrderPacked.TYPE}
    fire.house.foreign.add(next_version.OrderPacked.TYPE)  # the subject of the notice on the dead letter topic
    await eventually(lambda: _parked(fire), 30, "a record of the new type is parked")
    await fire.last()
    fire.did["parked beside their subjects"] += await _parked(fire)
    await _upgrade(fire, "inventory")

    async def redriven() -> bool:
        answer = await client.send(Ask("operator", "inventory", "POST", "/v1/parked:redrive", redrive))
        fire.did["redriven"] += sum(result["done"] for result in answer.body["results"])
        return await _parked(fire) == 0

    await eventually(redriven, 60, "all of the new type is handled")
    names = ("orders.api", "orders.worker")
    for name in names:
        (marks / name).unlink()
    await asyncio.gather(*(fire.end(name, signal.SIGTERM) for name in names))
    new = {model.TYPE.split(".")[2] for model in (next_version.OrderPacked, next_version.OrderPraised)}
    log = await asyncio.to_thread(fire.house.observer.catch_up)
    seen = [one for one in log if one.type in new and one.topic == next_version.OrderPacked.TOPIC]
    fire.did["events of new types"] += len(seen)
    first = {one.id: one for one in reversed(seen)}.values()
    fire.house.poison |= {f"{one.topic}/{one.partition}@{one.offset}" for one in first}  # this version can't read them


async def _upgrade(fire: Fire, service: str) -> None:
    names = [f"{service}.{role}" for role in ("api", "worker")]
    for name in names:
        (fire.house.folder("newer") / name).write_text(next_version.TYPES)
    await asyncio.gather(*(fire.end(name, signal.SIGTERM) for name in names))


async def _parked(fire: Fire) -> int:
    page = await fire.shift.client.get("operator", "inventory", "/v1/parked", limit=500)
    return len(page["parked"]) if page else 0


async def storm(fire: Fire) -> None:
    """F5: of each service in turn one consumer becomes four and one again; each comes and goes while others do."""

    async def guest(service: str, delay: float) -> None:
        await asyncio.sleep(delay)  # pause: the fault itself
        async with fire.one_more(service):
            fire.did["joined"] += 1
            await asyncio.sleep(3)  # pause: the fault itself
        fire.did["left"] += 1

    while fire.goes_on:
        for service in SERVICES:
            await asyncio.gather(*(guest(service, delay) for delay in (0, 1, 2)))


async def slow(fire: Fire) -> None:
    """F6: a handler that takes longer than Kafka waits for the next poll, in the middle of its transaction."""
    name = "inventory.worker"
    async with fire.one_more("inventory"):
        fire.arm(name, [f"effect.before_commit:sleep:{POLL_S + 2}@3"])
        os.kill(fire.pid(name), signal.SIGKILL)  # whether it is ready before it falls asleep is left open
        await eventually(lambda: fire.is_mute(name), POLL_S, "a handler is asleep")
        fire.did["handlers asleep"] += 1
        await eventually(lambda: fire.is_ready(name), 2 * POLL_S, "it is awake again")


async def crash_points(fire: Fire, plan: Mapping[str, Mapping[str, int]]) -> None:
    """F2: by name of the process, at which points it dies by itself and how often, one life after another."""
    before = {name: len(fire.house.lives(name)) for name in plan}
    for name, points in plan.items():
        order = [point for point, times in points.items() for _ in range(times)]
        fire.rng.shuffle(order)
        fire.arm(name, [f"{point}:kill@{fire.rng.randint(1, 4)}" for point in order])
    await asyncio.gather(*(fire.kill(name) for name in plan))
    await eventually(lambda: all(_has_peace(fire, name) for name in plan), 240, "every life is over")
    for name in plan:
        for fault in filter(None, fire.house.lives(name)[before[name] :]):
            fire.did[fault.partition(":")[0]] += 1
    await fire.last()


def _has_peace(fire: Fire, name: str) -> bool:
    fire.shift.check_people()
    return not fire.house.lives(name)[-1]
