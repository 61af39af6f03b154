"""Dead letters: a record that cannot be processed blocks only its scope, and is redriven in order."""

import asyncio

import pytest

from services.kit.consumer import dead_letters
from services.kit.consumer import redrive as redriving
from services.kit.consumer.redrive import redrive
from services.kit.faults import armed
from tests.integration.probe import service
from tests.integration.probe.service import Add
from tests.integration.probe.world import World, broken, header, record
from tests.stack import eventually

pytestmark = pytest.mark.stack


@pytest.fixture(autouse=True)
def _broken_again():
    service.BROKEN |= {"unprocessable", "error", "save"}
    yield
    service.BROKEN |= {"unprocessable", "error", "save"}


def add(account: str, n: int, offset: int, fail: str = "", pool: str = "north"):
    return record(Add(account=account, n=n, fail=fail, pool=pool), offset)


async def test_the_scope_queues_while_its_neighbours_in_the_pool_flow(world: World):
    processor = world.processor(by_key=False)
    await processor.handle([add("a", 1, 0), add("b", 1, 1, "error"), add("a", 2, 2), add("b", 2, 3)])
    await processor.handle([add("b", 3, 4), add("a", 3, 5), add("c", 1, 6)])
    assert await world.effects() == {"a": [1, 2, 3], "c": [1]}
    async with world.unit() as uow:
        waiting = await dead_letters.listing(uow.conn)
    assert [(one.scope, one.offset, one.attempts) for one in waiting] == [("b", 1, 3), ("b", 3, 0), ("b", 4, 0)]
    assert waiting[0].error == "RuntimeError: told to fail"
    assert waiting[1].error == dead_letters.QUEUED


async def test_redrive_runs_in_order_and_unblocks_and_a_second_one_does_nothing(world: World):
    processor = world.processor()
    await processor.handle([add("a", n, n, "unprocessable" if n == 1 else "") for n in range(1, 6)])
    again = await redrive(processor, "a")
    assert (again.done, again.error) == (0, "Unprocessable: told to be unprocessable")
    assert await world.pool.fetchval("select attempts from parked order by id") == 2
    service.BROKEN.discard("unprocessable")
    assert (await redrive(processor, "a")).done == 5
    assert (await redrive(processor, "a")).done == 0
    assert await world.effects() == {"a": [1, 2, 3, 4, 5]}
    assert await world.count("parked") == await world.count("parked_scope") == 0
    await processor.handle([add("a", 6, 6)])
    assert await world.effects() == {"a": [1, 2, 3, 4, 5, 6]}


async def test_a_redrive_of_a_long_queue_ends_in_time_and_says_that_there_is_more(world: World, monkeypatch):
    monkeypatch.setattr(redriving, "LIMIT_S", 0)
    monkeypatch.setattr(redriving, "BATCH", 1)
    processor = world.processor()
    await processor.handle([add("a", n, n, "unprocessable" if n == 1 else "") for n in range(1, 4)])
    service.BROKEN.discard("unprocessable")
    found = [await redrive(processor, "a") for _ in range(4)]
    assert [(one.done, one.more) for one in found] == [(1, True), (1, True), (1, True), (0, False)]
    assert await world.effects() == {"a": [1, 2, 3]}
    assert await world.count("parked_scope") == 0


async def test_a_redrive_takes_a_long_queue_in_few_transactions_up_to_what_fails_again(world: World):
    processor = world.processor()
    await processor.handle([add("a", n, n, {1: "unprocessable", 150: "error"}.get(n, "")) for n in range(1, 201)])
    service.BROKEN.discard("unprocessable")
    before = await world.pool.fetchval("select pg_current_xact_id()::text::bigint")
    again = await redrive(processor, "a")
    taken = await world.pool.fetchval("select pg_current_xact_id()::text::bigint") - before
    assert (again.done, again.error) == (149, "RuntimeError: told to fail")
    assert taken < 80, "a batch of 100, then one by one up to the culprit"
    service.BROKEN.discard("error")
    assert (await redrive(processor, "a")).done == 51
    assert await world.effects() == {"a": list(range(1, 201))}


async def test_what_arrives_during_a_redrive_goes_behind_it(world: World):
    processor = world.processor()
    await processor.handle([add("a", n, n, "error" if n == 1 else "") for n in range(1, 31)])
    service.BROKEN.discard("error")

    async def arrive() -> None:
        for n in range(31, 61):
            await world.processor().handle([add("a", n, n)])

    await asyncio.gather(redrive(processor, "a"), redrive(processor, "a"), arrive())
    await redrive(processor, "a")
    assert broken(await world.effects(), {"a": 60}) == []
    assert await world.count("parked_scope") == 0


async def test_a_crash_while_parking_parks_once(world: World):
    bad = add("a", 1, 0, "unprocessable")
    with armed("park.before_commit:raise"):
        await asyncio.wait_for(_until_parked(world, bad), 60)
    await world.processor().handle([bad])
    assert await world.count("parked") == 1


async def _until_parked(world: World, bad) -> None:
    while True:
        try:
            await world.processor().handle([bad])
            return
        except RuntimeError:
            continue


async def test_only_the_first_of_a_scope_is_reported_with_its_bytes_and_origin(world: World):
    await world.processor().handle(
        [add("a", 1, 7, "unprocessable"), add("a", 2, 8), add("b", 1, 9)._replace(value=b"{")]
    )
    async with world.relay():
        await eventually(lambda: _sent(world))
    first, second = await asyncio.to_thread(world.log, "probe.dlq.v1")
    assert first.value() == add("a", 1, 7, "unprocessable").value
    said = {name: header(first, f"parked_{name}") for name in ("consumer", "topic", "partition", "offset", "reason")}
    assert said == {"consumer": "probe.probe.in.v1", "topic": "probe.in.v1", "partition": "0", "offset": "7",
                    "reason": "Unprocessable: told to be unprocessable"}  # fmt: skip
    assert (header(first, "ce_subject"), header(first, "ce_type")) == ("a", Add.TYPE)
    assert header(second, "ce_subject") == "b"


async def _sent(world: World) -> bool:
    return await world.count("outbox") == 0


async def test_an_unreadable_record_blocks_its_key_or_on_pool_topics_nothing(world: World):
    nameless = add("b", 1, 1)._replace(headers={"ce_type": Add.TYPE})
    await world.processor(by_key=False).handle([nameless, add("a", 1, 2)])
    assert await world.effects() == {"a": [1]}
    await world.processor(by_key=True).handle(
        [nameless._replace(offset=3), add("c", 1, 4), add("d", 1, 5, pool="south")]
    )
    assert await world.effects() == {"a": [1], "d": [1]}
    assert {row["scope"] for row in await world.pool.fetch("select scope from parked_scope")} == {
        "probe.in.v1/0/1",
        "north",
    }


async def test_discarding_lets_the_rest_flow_and_keeps_the_reason(world: World):
    processor = world.processor()
    await processor.handle([add("a", 1, 1, "error"), add("a", 2, 2)])
    first = await world.pool.fetchval("select min(id) from parked")
    async with world.unit() as uow:
        assert await dead_letters.discard(uow.conn, first, "a test order", "staff.a") is True
        assert await dead_letters.discard(uow.conn, first, "a test order", "staff.a") is True, (
            "the answer may have got lost"
        )
        assert await dead_letters.discard(uow.conn, first, "twice", "staff.a") is False
    assert (await redrive(processor, "a")).done == 1
    assert await world.effects() == {"a": [2]}
    async with world.unit() as uow:
        kept = (await dead_letters.listing(uow.conn, id=first))[0]
        assert await dead_letters.listing(uow.conn) == []
    assert (kept.why, kept.error) == ("a test order", "RuntimeError: told to fail")
    assert await world.count("parked_scope") == 0


async def test_a_reason_never_quotes_a_private_topic(world: World):
    from services.kit.consumer.delivery import reason

    assert reason(ValueError("张三 13800000000"), "orders.recipient.v1") == "ValueError"
    assert reason(ValueError("plain"), "orders.order.v1") == "ValueError: plain"
    notice = dead_letters.notice("dispatch.orders.recipient.v1", _private(), "o1")
    assert notice.payload == b""
    assert "张三" not in str(notice.headers)


def _private():
    from services.kit.consumer.delivery import unreadable

    secret = add("o1", 1, 0)._replace(topic="orders.recipient.v1", value="张三".encode())
    return unreadable(secret, "header 'ce_id' is missing", by_key=True)
