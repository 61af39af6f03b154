"""The store of members, in memory and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import UUID

import pytest

from services.orders.domain.member import Account, Credit, Sought
from services.orders.domain.order.order import OrderState
from services.orders.repository.rows import Cause
from services.orders.repository.store import Store
from tests.contract.stores.databases import StoreDatabase
from tests.contract.stores.test_orders_store import RECIPIENT, order
from tests.unit.orders_given import NOW

ANNA, BO = b"a" * 32, b"b" * 32


@pytest.fixture
async def db(open_database: Callable[[str], Awaitable[StoreDatabase]]) -> StoreDatabase:
    return await open_database("orders")


def sought(n: int, hash: bytes = ANNA, community: str = "qifeng", makes: bool = True) -> Sought:
    return Sought(UUID(int=n), "main", community, hash, UUID(int=100 + n), makes)


async def insert(store: Store, n: int, member: UUID, payment: str = "on_account") -> None:
    one = order(n, payment, member=member)
    await store.insert_orders([one], {one.id: b"1"})
    await store.insert_details([one], {one.id: RECIPIENT}, {one.id: Cause("r", "resident.anna")}, NOW)


async def test_a_member_is_made_once_in_its_community(db: StoreDatabase):
    async with db.transaction() as store:
        asked = [
            sought(1),
            sought(2),
            sought(3, BO),
            sought(4, community="xincheng"),
            sought(5, b"c" * 32, makes=False),
        ]
        first = await store.find_or_make_members(asked)
        assert await store.find_or_make_members([]) == {}
    assert first[UUID(int=1)] == first[UUID(int=2)] in {UUID(int=101), UUID(int=102)}
    assert [first.get(UUID(int=n)) for n in (3, 4, 5)] == [UUID(int=103), UUID(int=104), None]
    async with db.transaction() as store:
        again = [replace(one, member=UUID(int=200)) for one in asked]
        assert await store.find_or_make_members(again) == first


async def test_a_member_that_another_transaction_makes_is_the_same(db: StoreDatabase):
    async def second() -> dict[UUID, UUID]:
        async with db.transaction() as store:
            found: dict[UUID, UUID] = await store.find_or_make_members([sought(2)])
            return found

    async with db.transaction() as store:
        first = await store.find_or_make_members([sought(1)])
        waiting = await db.waits(second())
    assert list((await waiting).values()) == list(first.values())


async def test_a_member_is_forgotten_with_its_last_person(db: StoreDatabase):
    async with db.transaction() as store:
        member = (await store.find_or_make_members([sought(1)]))[UUID(int=1)]
        await insert(store, 1, member)
        await insert(store, 2, member)
        await store.erase_person(UUID(int=1), "admin", "asked")
        assert await store.find_or_make_members([sought(3, makes=False)]) == {UUID(int=3): member}
        await store.erase_person(UUID(int=2), "admin", "asked")
        assert await store.find_or_make_members([sought(3, makes=False)]) == {}
    assert (await db.reader.find_orders([UUID(int=1)]))[UUID(int=1)][0].terms.member == member
    async with db.transaction() as store:  # a repeat of the order that was erased brings nobody back
        assert await store.find_or_make_members([sought(1)]) == {}
        assert await store.find_or_make_members([sought(3)]) == {UUID(int=3): UUID(int=103)}


async def test_an_account_owes_what_is_not_paid(db: StoreDatabase):
    credit = Credit(True, 5000, "resident.anna")
    async with db.transaction() as store:
        found = await store.find_or_make_members([sought(1), sought(2, BO)])
        anna, bo = found[UUID(int=1)], found[UUID(int=2)]
        await insert(store, 1, anna)
        await insert(store, 2, anna)
        await insert(store, 3, anna, "prepaid")
        cancelled = replace(order(4, member=anna), state=OrderState.CANCELLED)
        await store.insert_orders([cancelled], {cancelled.id: b"1"})
        await store.save_credit(anna, credit)
    async with db.transaction() as store:
        assert await store.lock_accounts([]) == {}
        found = await store.lock_accounts([bo, anna, UUID(int=9)])
        assert found == {anna: Account(credit, 2400), bo: Account(Credit(), 0)}
        member = await store.lock_member(anna)
        assert (member.community, member.credit, member.is_forgotten) == ("qifeng", credit, False)
        assert await store.lock_member(UUID(int=9)) is None


async def test_one_transaction_at_a_time_charges_an_account(db: StoreDatabase):
    async with db.transaction() as store:
        anna = (await store.find_or_make_members([sought(1)]))[UUID(int=1)]

    async def second() -> dict[UUID, Account]:
        async with db.transaction() as store:
            found: dict[UUID, Account] = await store.lock_accounts([anna])
            return found

    async with db.transaction() as store:
        await store.lock_accounts([anna])
        waiting = await db.waits(second())
        await insert(store, 1, anna)
    assert (await waiting)[anna].owed_fen == 1200
