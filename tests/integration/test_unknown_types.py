"""A type of a newer version never blocks its subject: skipped or dead-lettered, and processed after the upgrade."""

import asyncio
from uuid import uuid4

import pytest

from contracts.envelope import Event
from services.kit.consumer.processor import BatchProcessor
from services.kit.consumer.redrive import redrive
from services.kit.consumer.subscription import Subscription, TopicSource
from services.kit.telemetry.metrics import UNKNOWN
from services.kit.transaction.message import Message
from tests.integration.probe import service
from tests.integration.probe.service import IN, MODELS, Add, ProbeBook
from tests.integration.probe.world import World, header, record
from tests.stack import eventually

pytestmark = pytest.mark.stack
TYPE = "market.probe.loan.v1"
CONSUMER = f"probe.{IN}"


class Loan(Event, topic=IN):
    """A type that only the newer version has."""

    account: str
    n: int

    @property
    def key(self) -> str:
        return self.account


def on_loan(book: ProbeBook, message: Message[Loan]) -> None:
    book.effects.append((message.data.account, message.data.n, "loan", message.id))


def newer(world: World, *, reads_it: bool = True) -> BatchProcessor:
    """The consumer after the upgrade."""
    handlers = {Add: service.on_add} | ({Loan: on_loan} if reads_it else {})
    return world.processor(Subscription(IN, handlers), models=MODELS | {Loan.TYPE: Loan})


def counted(outcome: str) -> float:
    return UNKNOWN.labels(CONSUMER, outcome)._value.get()


def loan(account: str, n: int, offset: int, **headers: str):
    return record(Loan(account=account, n=n), offset, **headers)


def add(account: str, n: int, offset: int):
    return record(Add(account=account, n=n), offset)


async def test_its_subject_flows_on_and_a_redrive_after_the_upgrade_handles_it(world: World):
    old, before = world.processor(), counted("parked")
    await old.handle([add("a", 1, 0), loan("a", 1, 1, ce_readers="orders,probe"), add("a", 2, 2), loan("b", 1, 3)])
    await old.handle([add("b", 1, 4), loan("a", 2, 5, ce_readers="probe"), add("a", 3, 6)])
    assert await world.effects() == {"a": [1, 2, 3], "b": [1]}
    assert counted("parked") - before == 3
    rows = await world.pool.fetch("select scope, error from parked order by id")
    assert {row["scope"] for row in rows} == {TYPE}
    assert "no type 'market.probe.loan.v1' is known on this topic; upgrade this service" in rows[0]["error"]

    still = await redrive(old, TYPE)
    assert (still.done, "is known on this topic" in (still.error or "")) == (0, True)
    await newer(world).handle([loan("a", 3, 7, ce_readers="probe"), add("a", 4, 8)])
    assert await world.effects("loan") == {"a": [3]}, "what the new version knows waits behind nothing"
    assert (await redrive(newer(world), TYPE)).done == 3
    assert {name: sorted(ns) for name, ns in (await world.effects("loan")).items()} == {"a": [1, 2, 3], "b": [1]}
    assert await world.effects() == {"a": [1, 2, 3, 4], "b": [1]}
    assert await world.count("parked") == await world.count("parked_scope") == 0


async def test_what_its_sender_says_is_not_for_us_is_passed_over(world: World):
    before = counted("passed over")
    readers = ["none", "orders", "orders,probes"]
    await world.processor().handle(
        [loan("a", n, n, ce_readers=who) for n, who in enumerate(readers)] + [add("a", 1, 9)]
    )
    assert counted("passed over") - before == 3
    assert await world.effects() == {"a": [1]}
    assert await world.count("parked") == 0
    assert await world.count("inbox") == 1


async def test_a_new_version_without_use_for_it_clears_it_away(world: World):
    await world.processor().handle([loan("a", 1, 0)])
    assert (await redrive(newer(world, reads_it=False), TYPE)).done == 1
    assert await world.count("parked") == await world.count("parked_scope") == 0


async def test_it_waits_behind_nobody_and_nobody_behind_it(world: World):
    """Also where its subject is blocked already: it must not come between that subject and its redrive."""
    poison = add("a", 1, 0)._replace(value=b"{")
    await world.processor().handle([poison, loan("a", 1, 1), add("a", 2, 2)])
    scopes = await world.pool.fetch("select scope, count(*) as n from parked group by scope order by scope")
    assert {row["scope"]: row["n"] for row in scopes} == {"a": 2, TYPE: 1}


async def test_on_the_broker_the_partition_flows_and_the_first_is_reported(world: World):
    def raw(type: str, n: int, value: Event):
        headers = {"ce_type": type, "ce_time": "2026-05-01T06:00:00Z", "ce_id": str(uuid4()), "ce_subject": "a"}
        return (b"a", value.model_dump_json().encode(), list(headers.items()))

    records = []
    for n in range(1, 6):
        records += [raw(TYPE, n, Loan(account="a", n=n)), raw(Add.TYPE, n, Add(account="a", n=n))]
    await asyncio.to_thread(world.produce, IN, records, 0)
    async with world.consumer(), world.relay():
        await eventually(lambda: _done(world))
    assert await world.effects() == {"a": [1, 2, 3, 4, 5]}
    assert await world.count("parked") == 5
    (notice,) = await asyncio.to_thread(world.log, "probe.dlq.v1")
    assert (header(notice, "ce_subject"), header(notice, "ce_type")) == (TYPE, TYPE)


async def _done(world: World) -> bool:
    return await world.count("effect") >= 5 and await world.count("outbox") == 0


@pytest.mark.seeded
async def test_seeded_an_unknown_type_that_blocks_its_subject_is_seen(world: World, monkeypatch):
    def blocking(self: TopicSource, envelope, record):
        found = unknown(self, envelope, record)
        return found and found._replace(scope=envelope.subject, behind=frozenset({envelope.subject}))

    unknown = TopicSource._unknown
    monkeypatch.setattr(TopicSource, "_unknown", blocking)
    with pytest.raises(AssertionError):
        await test_its_subject_flows_on_and_a_redrive_after_the_upgrade_handles_it(world)
