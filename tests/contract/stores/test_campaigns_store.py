"""The store of orders, in memory and in PostgreSQL: group-buys and their joins."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from contracts.events.campaign import CampaignGood, Measure, Rule, Threshold
from contracts.values import Unit
from services.orders.domain.campaign.campaign import Campaign, CampaignState, Tally, Terms
from services.orders.domain.campaign.join import Join, JoinState
from services.orders.domain.member import Credit, Sought
from services.orders.domain.order.order import OrderState
from services.orders.domain.order.recipient import Recipient
from services.orders.repository.rows import Cause, step_row
from services.orders.repository.store import PHONE, Store
from tests.contract.stores.databases import StoreDatabase
from tests.unit.orders_given import CLOSES, NOW, an_order

OpenDatabase = Callable[[str], Awaitable[StoreDatabase]]
HONEY = CampaignGood(item="honey", unit=Unit.PIECE, unit_g=500, cap=100)
HOUR = timedelta(hours=1)


@pytest.fixture
async def db(open_database: OpenDatabase) -> StoreDatabase:
    return await open_database("orders")


def campaign(n: int, closes_at: Any = CLOSES) -> Campaign:
    threshold, places = Threshold(of=Measure.PEOPLE, at_least=2), ("sat", "qifeng", "sat@square")
    until, leads = (closes_at, CLOSES, NOW), ("leader.li", b"\0key", "west") if n == 1 else (None, None)
    return Campaign(Terms(UUID(int=n), *places, *until, (HONEY,), threshold, Rule.FIRST_COME, *leads))


def join(n: int, of: int = 1, member: int | None = None) -> Join:
    """Return the n-th join of a campaign; its id and that of its order follow from both numbers."""
    ids = {"order": UUID(int=1000 * of + n), "campaign": UUID(int=of), "join": UUID(int=100 * of + n)}
    terms = replace(an_order().terms, **ids, owner=f"resident.{n}", leader="leader.li", tenant="west")
    return Join(UUID(int=100 * of + n), UUID(int=of), n, member or n, terms)


def recipient(one: Join) -> Recipient:
    return Recipient(f"n{one.n}", "139", "door", 28.2, 112.9)


async def insert(store: Store, *joins: Join) -> None:
    digests = {one.id: b"j" for one in joins}
    await store.insert_joins(joins, digests, {one.id: (f"139{one.member}", recipient(one)) for one in joins})


async def given(db: StoreDatabase, *joins: Join) -> None:
    """Commit campaigns 1 and 2, and these joins."""
    async with db.transaction() as store:
        for n in (1, 2):
            assert await store.insert_campaign(campaign(n), b"c")
        await insert(store, *joins)


async def test_a_campaign_is_read_as_it_was_inserted(db: StoreDatabase):
    local = campaign(1, CLOSES.astimezone(timezone(HOUR * 8)))
    async with db.transaction() as store:
        assert await store.insert_campaign(local, b"c")
        assert not await store.insert_campaign(campaign(1, NOW), b"d")
        assert await store.lock_campaigns([UUID(int=2), UUID(int=1)]) == [local]
        assert await store.lock_campaigns([]) == []
    (found, digest), *more = (await db.reader.find_campaigns([UUID(int=1), UUID(int=2)])).values()
    assert (found, digest, more) == (local, b"c", [])
    assert found.terms.closes_at.utcoffset() == timedelta(0)
    assert await db.reader.read_tallies([UUID(int=1), UUID(int=2)]) == {UUID(int=1): Tally(pledged={})}


async def test_the_state_of_a_campaign_is_saved_whole(db: StoreDatabase):
    await given(db)
    after = replace(
        campaign(1), state=CampaignState.FORMED, version=3, left=2, settled=True, reached=4, reason="people: 4"
    )
    async with db.transaction() as store:
        await store.save_campaigns([after])
    found = await db.reader.find_campaigns([UUID(int=1), UUID(int=2)])
    assert found == {UUID(int=1): (after, b"c"), UUID(int=2): (campaign(2), b"c")}
    with pytest.raises(asyncpg.CheckViolationError):
        async with db.transaction() as store:
            await store.save_campaigns([replace(after, left=-1)])


async def test_joins_share_an_open_campaign_and_the_cut_waits_for_them(db: StoreDatabase):
    await given(db)
    ids = [UUID(int=1), UUID(int=2), UUID(int=3)]

    async def cut() -> list[Campaign]:
        async with db.transaction() as store:
            return await store.lock_campaigns(ids)  # type: ignore[no-any-return]

    async with db.transaction() as first, db.transaction() as second:
        assert await first.lock_open_campaigns(ids, CLOSES) == {}
        both = {one.id: one for one in (campaign(1), campaign(2))}
        assert await first.lock_open_campaigns(ids, NOW) == both
        assert await second.lock_open_campaigns(ids, NOW) == both
        waiting = await db.waits(cut())
    assert await waiting == [campaign(1), campaign(2)]


async def test_tallies_are_counted_one_transaction_after_the_other(db: StoreDatabase):
    await given(db)
    tally = Tally().with_join(join(1).terms)

    async def second() -> dict[UUID, Tally]:
        async with db.transaction() as store:
            return await store.lock_tallies([UUID(int=1), UUID(int=3)])  # type: ignore[no-any-return]

    async with db.transaction() as store:
        await store.lock_tallies([UUID(int=2), UUID(int=1)])
        waiting = await db.waits(second())
        await store.save_tallies({UUID(int=1): tally})
        assert await db.reader.read_tallies([UUID(int=1)]) == {UUID(int=1): Tally(pledged={})}, "not committed yet"
    assert await waiting == {UUID(int=1): tally}


async def test_pledged_joins_are_in_log_order(db: StoreDatabase):
    joins = [join(2), join(1), join(3), join(1, of=2)]
    await given(db, *joins)
    reader = db.reader
    assert await reader.find_joins([join(2).id, UUID(int=9)]) == {join(2).id: (join(2), b"j")}
    in_order = [(one, b"j") for one in (join(1), join(2), join(3), join(1, of=2))]
    both = [UUID(int=2), UUID(int=1)]
    assert await reader.pledged_joins(both, None) == in_order
    assert await reader.pledged_joins(both, 2) == in_order[:2]
    assert await reader.pledged_joins([UUID(int=3)], None) == []


async def test_a_person_keeps_the_number_of_the_first_join(db: StoreDatabase):
    await given(db, join(1), join(2), join(3, member=1), join(1, of=2))
    wanted = [(UUID(int=1), "1391"), (UUID(int=1), "1399"), (UUID(int=2), "1392")]
    assert await db.reader.find_members(wanted) == {(UUID(int=1), "1391"): 1}
    assert await db.reader.find_members([]) == {}


async def test_a_person_is_also_known_by_the_member(db: StoreDatabase):
    anna, hash, community = UUID(int=77), b"a" * 32, join(1).terms.community
    async with db.transaction() as store:
        made = Sought(UUID(int=99), "main", community, hash, anna, makes=True)
        assert await store.find_or_make_members([made]) == {UUID(int=99): anna}
    first = join(1)
    await given(db, replace(first, terms=replace(first.terms, member=anna)), join(2))
    known, unknown = (UUID(int=1), f"{PHONE}{hash.hex()}"), (UUID(int=1), f"{PHONE}{'00' * 32}")
    assert await db.reader.find_members([known, unknown]) == {known: 1}


@pytest.mark.parametrize("has_credit", [False, True])
async def test_a_member_is_forgotten_with_its_last_join_unless_it_has_a_credit(db: StoreDatabase, has_credit: bool):
    anna, hash, community = UUID(int=77), b"a" * 32, join(1).terms.community
    sought = Sought(UUID(int=99), "main", community, hash, anna, makes=True)
    joins = [replace(one, terms=replace(one.terms, member=anna)) for one in (join(1), join(2))]
    async with db.transaction() as store:
        await store.find_or_make_members([sought])
        await store.save_credit(anna, Credit(has_credit, 500, "resident.anna"))
    await given(db, *joins)
    for one, known in zip(joins, (True, has_credit), strict=True):
        async with db.transaction() as store:
            await store.save_joins([replace(one, state=JoinState.WITHDRAWN)])
            found = await store.find_or_make_members([replace(sought, makes=False)])
        assert (found == {UUID(int=99): anna}) is known


async def test_a_join_is_inserted_once(db: StoreDatabase):
    await given(db, join(1))
    with pytest.raises(asyncpg.UniqueViolationError):
        async with db.transaction() as store:
            await insert(store, join(1))


async def test_an_ended_join_has_no_recipient(db: StoreDatabase):
    joins = [join(1), join(2), join(3)]
    await given(db, *joins)
    orders = [one.terms.order for one in joins]
    assert await db.reader.join_recipients(orders) == {one.terms.order: recipient(one) for one in joins}
    ordered = replace(joins[0], state=JoinState.ORDERED, granted=(1,), refunded_fen=600)
    kept = replace(joins[1], granted=(2,))
    async with db.transaction() as store:
        await store.save_joins([ordered, kept])
        await store.save_joins([])
    assert await db.reader.join_recipients(orders) == {one.terms.order: recipient(one) for one in joins[1:]}
    found = await db.reader.find_joins([one.id for one in joins])
    assert found == {one.id: (one, b"j") for one in (ordered, kept, joins[2])}
    assert [one.n for one, _ in await db.reader.pledged_joins([UUID(int=1)], None)] == [2, 3]


async def test_no_more_is_refunded_than_was_pledged(db: StoreDatabase):
    await given(db, join(1))
    with pytest.raises(asyncpg.CheckViolationError):
        async with db.transaction() as store:
            await store.save_joins([replace(join(1), refunded_fen=1201)])


async def test_a_campaign_has_one_verdict(db: StoreDatabase):
    await given(db)
    async with db.transaction() as store:
        await store.insert_verdicts({}, NOW)
        await store.insert_verdicts({UUID(int=1): (b"{}", b"[]")}, NOW)
    with pytest.raises(asyncpg.UniqueViolationError):
        async with db.transaction() as store:
            await store.insert_verdicts({UUID(int=1): (b"{}", b"{}")}, NOW)


async def test_an_erased_person_leaves_the_join_without_its_code(db: StoreDatabase):
    await given(db, join(1))
    order = replace(an_order(), terms=join(1).terms)
    async with db.transaction() as store:
        await store.insert_orders([order], {order.id: b"o"})
        await store.erase_person(order.id, "operator", "asked")
    found, _ = (await db.reader.find_joins([join(1).id]))[join(1).id]
    assert found.terms.code == ""
    assert await db.reader.join_recipients([order.id]) == {}


@pytest.mark.stack
@pytest.mark.parametrize("seed", [1, 2])
async def test_random_transactions_end_the_same_on_both(open_pair: Callable[[str], Any], seed: int):
    memory, postgres = await open_pair("orders")
    for db in (memory, postgres):
        await given(db)
    rng = random.Random(seed)
    for n in range(1, 60):
        work = _work(rng, n)
        outcomes = [await _outcome(db, work) for db in (memory, postgres)]
        assert outcomes[0] == outcomes[1], f"transaction {n}"
    assert await _everything(memory.reader) == await _everything(postgres.reader)


def _work(rng: random.Random, n: int) -> Callable[[Store], Awaitable[Any]]:
    """Return the n-th transaction: a join, its end, an order, a step of an order, or a wrong code."""
    known, of, fails = rng.randint(1, n), rng.choice((1, 2)), rng.random() < 0.2
    kind = rng.choice(("join", "end", "order", "step", "code"))

    async def work(store: Store) -> Any:
        found: Any = None
        if kind == "join":
            tallies = await store.lock_tallies([UUID(int=of)])
            await insert(store, join(n, of))
            await store.save_tallies({id: tally.with_join(join(n, of).terms) for id, tally in tallies.items()})
        elif kind == "end":
            joins = [one for one, _ in await store.pledged_joins([UUID(int=of)], 2)]
            await store.save_joins([replace(one, state=JoinState.WITHDRAWN) for one in joins])
            found = joins
        elif kind == "order":
            order = replace(an_order(), terms=join(known, of).terms)
            found = await store.insert_orders([order], {order.id: b"o"})
            if found:
                await store.insert_details(
                    [order], {order.id: recipient(join(known, of))}, {order.id: Cause("r", "a")}, NOW
                )
        elif kind == "step":
            for one in await store.lock_orders([UUID(int=1000 * of + k) for k in range(1, n)]):
                after = replace(one, version=one.version + 1, state=OrderState.RESERVED)
                await store.save_orders([after], [step_row(after, one.state, "m", Cause("c", "a"), NOW)], [], [], [])
        else:
            found = await store.add_wrong_code(UUID(int=of), NOW + HOUR * n / 10)
        if fails:
            raise ZeroDivisionError
        return found

    return work


async def _outcome(db: StoreDatabase, work: Callable[[Store], Awaitable[Any]]) -> Any:
    try:
        async with db.transaction() as store:
            return await work(store)
    except ZeroDivisionError:
        return None


async def _everything(store: Store) -> tuple[Any, ...]:
    joins = [UUID(int=100 * of + n) for of in (1, 2) for n in range(60)]
    orders = [UUID(int=1000 * of + n) for of in (1, 2) for n in range(60)]
    return (
        await store.find_joins(joins),
        await store.find_orders(orders),
        await store.join_recipients(orders),
        await store.read_tallies([UUID(int=1), UUID(int=2)]),
    )
