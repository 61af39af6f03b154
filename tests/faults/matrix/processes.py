"""Faults of service processes: killed, frozen, replaced, joined by others, slow; and killed at each crash point."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping

import psutil

from deploy.scenarios.actors.client import Request
from deploy.scenarios.actors.requests import read
from tests.faults.chaos import SERVICES
from tests.faults.matrix import next_version
from tests.faults.matrix.injection import Injection
from tests.stack import eventually

SERVICE_PROCESSES = tuple(f"{service}.{role}" for service in SERVICES for role in ("api", "worker"))
SESSION_S, POLL_S = 10.0, 60.0
"""Seconds without a heartbeat, or without a poll, after which Kafka gives a consumer's partitions to another one."""


async def killed(injection: Injection) -> None:
    """F1: any of the six service processes is killed, repeatedly."""
    while injection.is_active:
        await injection.kill(injection.rng.choice(SERVICE_PROCESSES))


async def zombies(injection: Injection) -> None:
    """F3: each service's worker stops for longer than its session while another takes over, then continues."""
    while injection.is_active:
        for service in SERVICES:
            async with injection.extra_worker(service):
                worker = psutil.Process(injection.pid(f"{service}.worker"))
                await injection.freeze([worker], SESSION_S + injection.rng.uniform(2, 5))
            if not injection.is_active:
                return


async def deployed(injection: Injection) -> None:
    """F4: one process after another is ended by SIGTERM and restarted as the other version."""
    marks = injection.environment.folder("newer")
    while injection.is_active:
        is_newer = bool(list(marks.iterdir()))
        for name in SERVICE_PROCESSES:
            (marks / name).unlink(missing_ok=True) if is_newer else (marks / name).touch()
            await injection.signal_and_wait(name, signal.SIGTERM)
    for mark in marks.iterdir():
        mark.unlink()
        await injection.signal_and_wait(mark.name, signal.SIGTERM)
    log = await asyncio.to_thread(injection.environment.observer.catch_up)
    injection.actions["events with a newer field"] += sum(next_version.FIELD in record.data for record in log)


async def new_types(injection: Injection) -> None:
    """F4: writers are upgraded before readers.

    Inventory meets a type that it does not know yet and one that it never needs. Then it is upgraded, and the operator
    redrives. It stays upgraded, because orders may have more such records to publish.
    """
    marks, client = injection.environment.folder("newer"), injection.workload.client
    await _upgrade(injection, "orders")
    redrive = {"scope": next_version.OrderPacked.TYPE}
    # The subject of the notice on the dead letter topic.
    injection.environment.ignored_subjects.add(next_version.OrderPacked.TYPE)
    await eventually(lambda: _dead_letter_count(injection), 30, "a record of the new type is dead-lettered")
    await injection.wait_until_over()
    injection.actions["dead-lettered"] += await _dead_letter_count(injection)
    await _upgrade(injection, "inventory")

    async def redriven() -> bool:
        answer = await client.send(Request("operator", "inventory", "POST", "/v1/parked:redrive", redrive))
        injection.actions["redriven"] += sum(result["done"] for result in answer.body["results"])
        return await _dead_letter_count(injection) == 0

    await eventually(redriven, 60, "every record of the new type is processed")
    names = ("orders.api", "orders.worker")
    for name in names:
        (marks / name).unlink()
    await asyncio.gather(*(injection.signal_and_wait(name, signal.SIGTERM) for name in names))
    new = {model.TYPE.split(".")[2] for model in (next_version.OrderPacked, next_version.OrderPraised)}
    log = await asyncio.to_thread(injection.environment.observer.catch_up)
    new_records = [one for one in log if one.type in new and one.topic == next_version.OrderPacked.TOPIC]
    injection.actions["events of new types"] += len(new_records)
    first = {one.id: one for one in reversed(new_records)}.values()
    # This version of the audit cannot read them.
    injection.environment.poison_positions |= {one.where for one in first}


async def _upgrade(injection: Injection, service: str) -> None:
    names = [f"{service}.{role}" for role in ("api", "worker")]
    for name in names:
        (injection.environment.folder("newer") / name).write_text(next_version.TYPES)
    await asyncio.gather(*(injection.signal_and_wait(name, signal.SIGTERM) for name in names))


async def _dead_letter_count(injection: Injection) -> int:
    page = await injection.workload.client.get(read("operator", "inventory", "/v1/parked", limit=500))
    return len(page["parked"]) if page else 0


async def storm(injection: Injection) -> None:
    """F5: each service in turn goes from one consumer to four and back; they join and leave while others do."""

    async def join_and_leave(service: str, delay: float) -> None:
        await asyncio.sleep(delay)  # pause: the fault itself
        async with injection.extra_worker(service):
            injection.actions["joined"] += 1
            await asyncio.sleep(3)  # pause: the fault itself
        injection.actions["left"] += 1

    while injection.is_active:
        for service in SERVICES:
            await asyncio.gather(*(join_and_leave(service, delay) for delay in (0, 1, 2)))


async def slow(injection: Injection) -> None:
    """F6: a handler that takes longer than Kafka's poll interval, in the middle of its transaction."""
    name = "inventory.worker"
    async with injection.extra_worker("inventory"):
        injection.arm(name, [f"effect.before_commit:sleep:{POLL_S + 2}@3"])
        os.kill(injection.pid(name), signal.SIGKILL)  # it may or may not become ready before it sleeps
        await eventually(lambda: injection.is_unresponsive(name), POLL_S, "a handler sleeps")
        injection.actions["handlers asleep"] += 1
        await eventually(lambda: injection.is_ready(name), 2 * POLL_S, "the handler continues")


async def crash_points(injection: Injection, plan: Mapping[str, Mapping[str, int]]) -> None:
    """F2: processes die at crash points, one life after another.

    `plan`: by process name, the crash points and how often each kills.
    """
    before = {name: len(injection.environment.lives(name)) for name in plan}
    for name, points in plan.items():
        order = [point for point, times in points.items() for _ in range(times)]
        injection.rng.shuffle(order)
        injection.arm(name, [f"{point}:kill@{injection.rng.randint(1, 4)}" for point in order])
    await asyncio.gather(*(injection.kill(name) for name in plan))
    await eventually(lambda: all(_runs_unarmed(injection, name) for name in plan), 240, "every armed life has ended")
    for name in plan:
        for fault in filter(None, injection.environment.lives(name)[before[name] :]):
            injection.actions[fault.partition(":")[0]] += 1
    await injection.wait_until_over()


def _runs_unarmed(injection: Injection, name: str) -> bool:
    injection.workload.crew.check()
    return not injection.environment.lives(name)[-1]
