"""Faults of messages: unreadable records, and crash points that need particular operations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from confluent_kafka import KafkaError, KafkaException, Producer

from contracts.events.inventory import StockReserved
from contracts.events.orders import OrderCollected
from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import Request, call
from deploy.scenarios.actors.requests import goods, read
from tests.faults.chaos import SERVICES
from tests.faults.matrix.injection import Injection
from tests.stack import eventually

POINTS = ("park.before_commit", "campaign.half_way")
KILLS = 10
TOO_LARGE = 2_000_000
Position = tuple[str, int, int]
"""Topic, partition and offset."""
_KNOWN_TYPES = {"inventory.stock.v1": StockReserved.TYPE, "orders.order.v1": OrderCollected.TYPE}
"""Topics that get poison records, each with a type that its reader handles; orders reads one, inventory the other."""


async def poisoned(injection: Injection) -> None:
    """F7: bad records among good ones; each is dead-lettered alone and blocks nothing else."""
    sent: list[Position] = []
    while injection.is_active:
        sent += await asyncio.to_thread(_poison, injection)
        await asyncio.sleep(1)  # pause: normal traffic in between
    await _discard(injection, sent)


async def killed_while_dead_lettering(injection: Injection) -> None:
    """F2: the reader of a bad record dies repeatedly before the dead letter is committed; finally it is stored."""
    name = "inventory.worker"
    before = len(injection.environment.lives(name))
    injection.arm(name, ["park.before_commit:kill"] * KILLS)
    await injection.kill(name)
    sent = await asyncio.to_thread(_poison, injection)
    await eventually(lambda: not injection.environment.lives(name)[-1], 180, "every armed life has ended")
    injection.actions["park.before_commit"] += sum(map(bool, injection.environment.lives(name)[before:]))
    await _discard(injection, sent)
    await injection.wait_until_over()


def _poison(injection: Injection) -> list[Position]:
    """Send one bad record of each kind to each topic; return their positions."""
    producer = Producer({**injection.environment.admin, "message.max.bytes": 2 * TOO_LARGE, "acks": "all"})
    sent: list[Position] = []
    for topic, known in _KNOWN_TYPES.items():
        for kind, value, headers in _bad_records(known):
            name = f"poison-{kind}-{uuid4().hex[:12]}"
            injection.environment.ignored_subjects.add(name)
            ce_headers = (
                {**headers, "ce_id": str(uuid4()), "ce_subject": name, "ce_partitionkey": name} if headers else {}
            )
            producer.produce(
                topic,
                value,
                name.encode(),
                headers=[(k, v.encode()) for k, v in ce_headers.items()],
                on_delivery=lambda _, record: sent.append((record.topic(), record.partition(), record.offset())),
            )
    injection.environment.ignored_subjects.add("")  # a record without headers has no subject
    assert producer.flush(20) == 0
    injection.actions["bad records"] += len(sent)
    _expect_refusal(injection, producer)
    return sent


def _bad_records(known: str) -> list[tuple[str, bytes, Mapping[str, str]]]:
    headers = {"ce_specversion": "1.0", "ce_source": "poison", "ce_time": datetime.now(UTC).isoformat()}
    return [
        ("bytes", b"\x00\xff\xfe not json", {}),
        ("unknown-type", b"{}", {**headers, "ce_type": "market.orders.never-heard-of.v9"}),
        ("wrong-schema", json.dumps({"order": 7}).encode(), {**headers, "ce_type": known}),
        ("large", b"x" * 900_000, {**headers, "ce_type": known}),
    ]


def _expect_refusal(injection: Injection, producer: Producer) -> None:
    """Send 2 MB, more than the broker accepts; it must return an error."""
    answers: list[KafkaError | None] = []
    producer.produce("orders.order.v1", b"x" * TOO_LARGE, b"large", on_delivery=lambda error, _: answers.append(error))
    producer.flush(20)
    error = answers[0]
    if error is None or error.code() != KafkaError.MSG_SIZE_TOO_LARGE:
        raise KafkaException(error)
    injection.actions["2 MB refused"] += 1


async def _discard(injection: Injection, sent: list[Position]) -> None:
    """Discard the poison records as operator once all are dead-lettered, so that the next workload starts clean."""
    client, dead_letters = injection.workload.client, dict[Position, tuple[str, dict[str, Any]]]()

    async def all_dead_lettered() -> bool:
        for service in SERVICES:
            page = await client.get(read("operator", service, "/v1/parked", limit=500))
            for row in (page or {"parked": []})["parked"]:
                dead_letters[row["topic"], row["partition"], row["offset"]] = service, row
        return set(sent) <= dead_letters.keys()

    await eventually(all_dead_lettered, 30, "every bad record is dead-lettered")
    for place in sent:
        service, row = dead_letters[place]
        injection.environment.poison_positions.add("{}/{}@{}".format(*place))
        injection.environment.ignored_subjects.add(row["scope"])
        request = Request(
            "operator", service, "POST", f"/v1/parked/{row['id']}:discard", {"why": "poison record of a fault test"}
        )
        await call(client, request)
        injection.actions["dead-lettered and discarded"] += 1


async def killed_while_settling(injection: Injection) -> None:
    """F2: the settlement of a formed group-buy dies repeatedly between its orders and the record of it; finally each
    join is one order.
    """
    name, joins = "orders.worker", 20
    campaign = await _open(injection)
    join_bodies = dict(await asyncio.gather(*(_join(injection, campaign, n) for n in range(joins))))
    before = len(injection.environment.lives(name))
    injection.arm(name, ["campaign.half_way:kill"] * KILLS)
    await injection.kill(name)
    await eventually(lambda: not injection.environment.lives(name)[-1], 180, "every armed life has ended")
    injection.actions["campaign.half_way"] += sum(map(bool, injection.environment.lives(name)[before:]))
    await eventually(lambda: _settled(injection, campaign), 60, "the group-buy is settled")
    page = await injection.workload.client.get(requests.read_joins(campaign))
    for row in page["items"]:
        injection.workload.record_join(row["order_id"], join_bodies[row["join_id"]])
        injection.actions["joins that became orders"] += 1
    await injection.wait_until_over()


async def _settled(injection: Injection, campaign: UUID) -> bool:
    shown = await injection.workload.client.get(requests.read_campaign(campaign))
    return bool(shown and shown["state"] == "formed" and shown["settled"])


async def _open(injection: Injection) -> UUID:
    """Open a group-buy that closes soon and forms; return its id."""
    id, day, closes = uuid4(), injection.environment.market.day, datetime.now(UTC) + timedelta(seconds=8)
    terms = [goods("tea", 100)], {"of": "people", "at_least": 2}
    await call(injection.workload.client, requests.open_campaign(id, day, "north-side", closes, *terms))
    return id


async def _join(injection: Injection, campaign: UUID, number: int) -> tuple[str, dict[str, Any]]:
    """Join the group-buy; return the id and content of the join."""
    who, where = {"name": "某人", "phone": f"139{number:08}"}, requests.pickup("north-point")
    id, join = str(uuid4()), requests.pledge([goods("tea", 2)], where, "on_account", who)
    await call(injection.workload.client, requests.join(campaign, id, join))
    return id, join
