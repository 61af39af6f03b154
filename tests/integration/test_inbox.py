"""Inbox: an event's effect happens once, whoever delivers it and however often."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from services.kit import inbox
from services.kit.consumer import Processor
from services.kit.faults import InjectedFault, armed
from tests.integration.probe.service import Add, Noise
from tests.integration.probe.world import World, broken, record

pytestmark = pytest.mark.stack


async def test_a_repeat_in_the_same_and_in_a_later_batch_has_no_effect(world: World):
    first, second = record(Add(account="a", n=1), 0, id=str(uuid4())), record(Add(account="a", n=2), 1)
    again = record(Add(account="a", n=1), 2, id=first.headers["ce_id"])
    await world.processor().handle([first, second, again])
    await world.processor().handle([first, again])
    assert await world.effects() == {"a": [1, 2]}
    assert await world.count("outbox") == 2


async def test_two_owners_of_a_partition_act_once(world: World):
    records = [record(Add(account=f"a{n % 5}", n=n // 5 + 1), n) for n in range(200)]
    await asyncio.gather(
        world.processor().handle(records),
        world.processor().handle(records[:150]),
        world.processor().handle(records[20:]),
    )
    assert broken(await world.effects(), {f"a{n}": 40 for n in range(5)}) == []
    assert await world.count("inbox") == 200
    assert await world.count("outbox") == 200


async def test_inbox_and_effect_stand_or_fall_together(world: World):
    with armed("effect.before_commit:raise"):
        await world.processor().handle([record(Add(account="a", n=1), 0)])
    assert await world.effects() == {"a": [1]}
    with armed("effect.after_commit_before_ack:raise"), pytest.raises(InjectedFault):
        await world.processor()._attempt([world.processor().read(record(Add(account="a", n=2), 1))])
    assert await world.effects() == {"a": [1, 2]}


async def test_events_made_while_handling_have_the_same_id_at_every_try(world: World):
    add = record(Add(account="a", n=1), 0)
    await world.processor().handle([add])
    first = await world.pool.fetchval("select event_id from outbox")
    await world.pool.execute("truncate outbox, inbox, effect")
    await world.processor().handle([add])
    assert await world.pool.fetchval("select event_id from outbox") == first


async def test_only_what_no_log_can_bring_back_is_forgotten(world: World):
    async with world.pool.acquire() as conn:
        await inbox.claim(conn, "probe", [uuid4() for _ in range(7)])
        await conn.execute("update inbox set handled_at = now() - $1::interval", timedelta(days=74))
        assert await inbox.prune(conn) == 0
        await conn.execute("update inbox set handled_at = now() - $1::interval", timedelta(days=76))
        assert await inbox.prune(conn, 5) == 5
        assert await inbox.prune(conn, 5) == 2


class NoInbox(Processor):
    """Broken on purpose: takes everything for new."""

    async def _take(self, _uow, deliveries):
        return list(deliveries)


@pytest.mark.seeded
async def test_seeded_a_missing_inbox_is_seen_to_double_effects(world: World):
    broken_one = NoInbox("probe", world.processor().subscription, pool=world.pool, clock=world.clock,
                         open_book=world.processor()._open_book, decode=world.processor()._decode)  # fmt: skip
    records = [record(Add(account="a", n=n), n) for n in range(1, 4)]
    await broken_one.handle(records)
    await broken_one.handle(records[1:])
    assert broken(await world.effects(), {"a": 3}) == ["a: 2 doubled"]
    await world.pool.execute("truncate effect")
    await world.processor().handle(records)
    await world.processor().handle(records[1:])
    assert broken(await world.effects(), {"a": 3}) == []


async def test_rows_of_the_inbox_are_not_made_for_types_that_are_passed_over(world: World):
    await world.processor().handle([record(Noise(account="a"), 0)])
    assert await world.count("inbox") == 0
