"""Inbox: an event's effect happens once, whoever delivers it and however often."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from services.kit.consumer.dedup import Inbox
from services.kit.errors import CommitUnknown, InjectedFault
from services.kit.faults import armed
from services.kit.process import housekeeping
from services.kit.transaction import inbox, unit_of_work
from tests.integration.probe.service import Add, Noise
from tests.integration.probe.world import World, broken, record
from tests.stack import eventually

pytestmark = pytest.mark.stack


async def test_a_repeat_in_the_same_and_in_a_later_batch_has_no_effect(world: World):
    first, second = record(Add(account="a", n=1), 0, id=str(uuid4())), record(Add(account="a", n=2), 1)
    again = record(Add(account="a", n=1), 2, id=first.headers["ce_id"])
    await world.processor().handle([first, second, again])
    await world.processor().handle([first, again])
    assert await world.effects() == {"a": [1, 2]}
    assert await world.count("outbox") == 2


async def test_two_owners_of_a_partition_act_once(world: World):
    """Both may hold batches of different length, but begin at or before the last committed position."""
    records = [record(Add(account=f"a{n % 5}", n=n // 5 + 1), n) for n in range(200)]
    await asyncio.gather(
        world.processor().handle(records),
        world.processor().handle(records[:150]),
        world.processor().handle(records[:70]),
    )
    assert broken(await world.effects(), {f"a{n}": 40 for n in range(5)}) == []
    assert await world.count("inbox") == 200
    assert await world.count("outbox") == 200


async def test_inbox_and_effect_stand_or_fall_together(world: World):
    with armed("effect.before_commit:raise"):
        await world.processor().handle([record(Add(account="a", n=1), 0)])
    assert await world.effects() == {"a": [1]}
    with armed("effect.after_commit_before_ack:raise"), pytest.raises(InjectedFault):
        await world.processor()._attempt([world.processor().source.read(record(Add(account="a", n=2), 1))])
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
        await inbox.InboxTable(conn).claim("probe", [uuid4() for _ in range(7)])
        await conn.execute("update inbox set handled_at = now() - $1::interval", timedelta(days=74))
        assert await inbox.prune(conn) == 0
        await conn.execute("update inbox set handled_at = now() - $1::interval", timedelta(days=76))
        assert await inbox.prune(conn, 5) == 5
        assert await inbox.prune(conn, 5) == 2


async def test_the_hourly_housekeeping_deletes_all_that_is_old(world: World):
    await world.pool.execute(
        "insert into inbox select 'probe', gen_random_uuid(), now() - interval '76 days' from generate_series(1, 12000)"
    )
    upkeep = asyncio.create_task(housekeeping.run(world))

    async def nothing_left() -> bool:
        return await world.count("inbox") == 0

    await eventually(nothing_left)
    upkeep.cancel()


async def test_an_unknown_commit_is_tried_again_and_acts_once(world: World, monkeypatch):
    """The reply to COMMIT is lost after the server did it; and once before."""
    real, lost = unit_of_work._commit, ["after", "before"]

    async def commit(transaction) -> None:
        when = lost.pop() if lost else ""
        if when == "before":
            await transaction.rollback()
            raise CommitUnknown("lost before it arrived")
        await real(transaction)
        if when == "after":
            raise CommitUnknown("lost on the way back")

    monkeypatch.setattr(unit_of_work, "_commit", commit)
    await world.processor().handle([record(Add(account="a", n=n), n) for n in range(1, 4)])
    assert lost == []
    assert await world.effects() == {"a": [1, 2, 3]}
    assert await world.count("outbox") == 3


async def test_a_connection_lost_at_commit_is_reported_as_unknown(world: World):
    async def die_at_commit() -> None:
        async with world.unit() as uow:
            uow.emit(Add(account="a", n=1))
            pid = await uow.conn.fetchval("select pg_backend_pid()")
            await uow.flush()
            uow._rows.clear()
            await world.pool.execute("select pg_terminate_backend($1)", pid)
            await eventually(lambda: _gone(world, pid))

    with pytest.raises(CommitUnknown):
        await die_at_commit()
    assert await world.count("outbox") == 0


async def _gone(world: World, pid: int) -> bool:
    return not await world.pool.fetchval("select count(*) from pg_stat_activity where pid = $1", pid)


class NoInbox(Inbox):
    """Broken on purpose: takes everything for new."""

    async def before_locks(self, _uow, deliveries):
        return list(deliveries)


@pytest.mark.seeded
async def test_seeded_a_missing_inbox_is_seen_to_double_effects(world: World):
    broken_one = world.processor(dedup=NoInbox())
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
