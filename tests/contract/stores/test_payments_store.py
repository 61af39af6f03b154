"""The store of receipts, in memory and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.orders.domain.payment import Notice, Receipt
from tests.contract.stores.databases import StoreDatabase
from tests.unit.orders_given import NOW

NOTICE = Notice("simulator", "tx-1", UUID(int=1), 1200, "CNY", NOW)
RECEIPT = Receipt(NOTICE, NOW + timedelta(minutes=1), reason="unknown-order")


@pytest.fixture
async def db(open_database: Callable[[str], Awaitable[StoreDatabase]]) -> StoreDatabase:
    return await open_database("orders")


async def test_a_receipt_is_read_as_it_was_inserted(db: StoreDatabase):
    other = replace(RECEIPT, notice=replace(NOTICE, provider="wx"), pays=NOTICE.order, reason="")
    async with db.transaction() as store:
        assert await store.insert_receipt(RECEIPT)
        assert await store.insert_receipt(other)
    keys = [NOTICE.key, other.notice.key, ("simulator", "tx-2")]
    assert await db.reader.find_receipts(keys) == {NOTICE.key: RECEIPT, other.notice.key: other}
    assert await db.reader.find_receipts([]) == {}


async def test_a_transaction_is_stored_once(db: StoreDatabase):
    async with db.transaction() as store:
        assert await store.insert_receipt(RECEIPT)
        assert not await store.insert_receipt(replace(RECEIPT, notice=replace(NOTICE, amount_fen=1)))
    assert await db.reader.find_receipts([NOTICE.key]) == {NOTICE.key: RECEIPT}


@pytest.mark.parametrize("commits", [True, False])
async def test_an_insert_waits_for_the_transaction_that_has_the_receipt(db: StoreDatabase, commits: bool):
    async def second() -> bool:
        async with db.transaction() as store:
            inserted: bool = await store.insert_receipt(RECEIPT)
            return inserted

    waiting: Any = None
    try:
        async with db.transaction() as store:
            await store.insert_receipt(RECEIPT)
            waiting = await db.waits(second())
            if not commits:
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert await waiting is not commits


async def test_other_contents_are_counted(db: StoreDatabase):
    async with db.transaction() as store:
        await store.insert_receipt(RECEIPT)
        for n in (1, 1, 2):
            await store.record_receipt_conflict(replace(NOTICE, amount_fen=n), NOW)


async def test_one_transaction_at_a_time_uses_a_receipt(db: StoreDatabase):
    used = RECEIPT.used_for(UUID(int=1), 1200)

    async def second() -> Any:
        async with db.transaction() as store:
            return await store.lock_receipts([("simulator", "tx-2"), NOTICE.key])

    async with db.transaction() as store:
        await store.insert_receipt(RECEIPT)
    async with db.transaction() as store:
        assert await store.lock_receipts([NOTICE.key]) == {NOTICE.key: RECEIPT}
        assert await store.lock_receipts([]) == {}
        waiting = await db.waits(second())
        await store.save_receipts([used])
        await store.save_receipts([])
    assert await waiting == {NOTICE.key: used}
