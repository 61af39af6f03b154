"""Stock through the real service: the golden example, a burst, repeats, and two owners at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from contracts.events.inventory import (
    AllotmentGranted,
    AllotmentLapsed,
    AllotmentReturned,
    ClaimsExceeded,
    CommitRefused,
    ReservationExpired,
    ReservationReleased,
    StockCommitted,
    StockMoved,
    StockRefused,
    StockReserved,
)
from services.inventory.domain import reservation as reserving
from services.inventory.domain.stock import Stock
from tests.integration.inventory_service import Inventory, open_inventory
from tests.stack import TestStack
from tests.unit.inventory_world import (
    POOL,
    commit,
    loaded,
    order_of,
    release,
    reserve,
    returned,
    sale,
    session_closed,
    void,
)

pytestmark = pytest.mark.stack
TOFU = "oil-tofu"


@pytest.fixture
async def inventory(stack: TestStack) -> AsyncIterator[Inventory]:
    async with open_inventory(stack) as world:
        yield world


async def test_the_golden_example(inventory: Inventory) -> None:
    firm, hold, figures = uuid4(), uuid4(), inventory.figures
    lot = await inventory.stocked(TOFU, 100)
    assert await figures(TOFU) == (100, 0, 0, 0, 0, 0, 100)
    assert (await inventory.lend("t1", TOFU, 30)).status_code == 201
    assert await figures(TOFU) == (100, 0, 0, 30, 0, 0, 70)
    await inventory.hear(
        reserve(firm, (TOFU, 50)), reserve(hold, (TOFU, 15), firm=False).model_copy(update={"ttl_s": 90_000})
    )
    assert await figures(TOFU) == (100, 15, 50, 30, 0, 0, 5)
    await inventory.hear(sale(uuid4(), "t1", (TOFU, 12)))
    assert await figures(TOFU) == (88, 15, 50, 18, 0, 0, 5)
    await inventory.wait(60)
    assert await figures(TOFU) == (88, 15, 50, 0, 18, 0, 5)
    await inventory.hear(sale(uuid4(), "t1", (TOFU, 10)))
    assert await figures(TOFU) == (78, 15, 50, 0, 8, 0, 5)
    assert not await inventory.published(ClaimsExceeded)
    await inventory.hear(sale(uuid4(), "t1", (TOFU, 14)))
    assert await figures(TOFU) == (64, 15, 50, 0, 0, 1, 0)
    exceeded = [(e.shortfall, e.reservations, e.orders) for e in await inventory.published(ClaimsExceeded)]
    assert exceeded == [(1, [hold], [order_of(hold)])]
    await inventory.hear(release(hold))
    assert await figures(TOFU) == (64, 0, 50, 0, 0, 0, 14)
    await inventory.hear(loaded(firm, (TOFU, 50)))
    assert await figures(TOFU) == (14, 0, 0, 0, 0, 0, 14)
    back = {"terminal": "t1", "pool": POOL, "item": TOFU, "quantity": 2}
    assert (await inventory.post("/v1/allotments:return", back)).status_code == 201
    assert await figures(TOFU) == (16, 0, 0, 0, 0, 0, 16)
    await inventory.adds_up()
    moved = [(m.from_place, m.to_place, m.quantity) for m in await inventory.published(StockMoved)]
    assert moved == [
        ("intake", "on_hand", 100),
        ("on_hand", "sold", 12),
        ("on_hand", "sold", 10),
        ("on_hand", "sold", 14),
        ("on_hand", "courier", 50),
        ("found", "on_hand", 2),
    ]
    (row,) = (await inventory.get("/v1/stock", params={"pool": POOL}))["stock"]
    assert [(one["lot_id"], one["on_hand"]) for one in row["by_lot"]] == [(lot, 14), (None, 2)]
    versions = [
        e.version
        for kind in (AllotmentGranted, AllotmentLapsed, AllotmentReturned)
        for e in await inventory.published(kind)
    ]
    assert versions == [1, 2, 3]


async def test_a_burst_grants_exactly_what_there_is_in_order_of_arrival(inventory: Inventory) -> None:
    """5 000 requests for 200 units in batches of 500: the first 200 are granted, and every one is answered."""
    await inventory.stocked("honey", 200)
    await inventory.forget()
    asks = [reserve(uuid4(), ("honey", 1)) for _ in range(5_000)]
    began = time.perf_counter()
    for start in range(0, len(asks), 500):
        await inventory.hear(*asks[start : start + 500])
    seconds = time.perf_counter() - began
    print(f"\nreserve-stock: {len(asks) / seconds:,.0f} a second in batches of 500")
    published = await inventory.published()
    assert [event.reservation for event in published] == [ask.reservation for ask in asks]
    assert [isinstance(event, StockReserved) for event in published] == [n < 200 for n in range(5_000)]
    assert all(isinstance(event, StockRefused) for event in published[200:])
    assert await inventory.figures("honey") == (200, 0, 200, 0, 0, 0, 0)
    await inventory.adds_up()


async def test_a_batch_costs_the_same_statements_whatever_its_size(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await inventory.stocked("honey", 1_000)
    await inventory.lend("t1", "honey", 100)
    count = 0
    execute = asyncpg.Connection._do_execute

    async def counting(conn: Any, *args: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        return await execute(conn, *args, **more)

    monkeypatch.setattr(asyncpg.Connection, "_do_execute", counting)
    costs = []
    for size in (2, 2, 100):
        ids = [uuid4() for _ in range(size)]
        for batch in (
            [reserve(id, ("honey", 1), firm=False) for id in ids],
            [commit(id) for id in ids],
            [loaded(id, ("honey", 1)) for id in ids],
            [returned(id, ("honey", 1)) for id in ids],
            [sale(id, "t1", ("honey", 1)) for id in ids],
            [void(id, "t1", ("honey", 1)) for id in ids],
        ):
            count = 0
            await inventory.hear(*batch)
            costs.append(count)
    print(f"\nstatements a batch: {costs[-6:]}")
    assert costs[6:12] == costs[12:]


async def test_two_owners_of_a_partition_never_promise_twice(inventory: Inventory) -> None:
    """While a rebalance leaves two owners, the same and other records are processed at once."""
    await inventory.stocked("honey", 60)
    await inventory.forget()
    asks = [reserve(uuid4(), ("honey", 1)) for _ in range(100)]
    ids = [uuid4() for _ in asks]
    halves = [slice(0, 80), slice(20, 100)]
    await asyncio.gather(*(inventory.hear(*asks[half], ids=ids[half]) for half in halves for _ in range(2)))
    published = await inventory.published()
    assert {event.reservation for event in published} == {ask.reservation for ask in asks}
    assert (len(published), sum(isinstance(event, StockReserved) for event in published)) == (100, 60)
    assert await inventory.figures("honey") == (60, 0, 60, 0, 0, 0, 0)


async def test_repeated_and_crossing_messages_act_once(inventory: Inventory) -> None:
    await inventory.stocked("honey", 20)
    assert (await inventory.lend("t1", "honey", 5)).status_code == 201
    kept, late, sold = uuid4(), uuid4(), uuid4()
    for _ in range(2):
        await inventory.hear(release(late), reserve(late, ("honey", 1)), reserve(kept, ("honey", 4)))
        await inventory.hear(loaded(kept, ("honey", 4)), loaded(kept, ("honey", 4)))
        await inventory.hear(sale(sold, "t1", ("honey", 3)), sale(sold, "t1", ("honey", 3)))
    assert await inventory.figures("honey") == (13, 0, 0, 2, 0, 0, 11)
    for _ in range(2):
        await inventory.hear(returned(kept, ("honey", 4)), returned(kept, ("honey", 4)))
        await inventory.hear(void(sold, "t1", ("honey", 3)), sale(sold, "t1", ("honey", 3)))
    assert await inventory.figures("honey") == (20, 0, 0, 5, 0, 0, 15)
    await inventory.adds_up()


async def test_a_sale_and_its_void_in_one_batch_leave_no_trace_in_stock(inventory: Inventory) -> None:
    await inventory.stocked("honey", 10)
    sold, stays = uuid4(), uuid4()
    await inventory.hear(
        sale(sold, "t1", ("honey", 3)), void(sold, "t1", ("honey", 3)), sale(stays, "t1", ("honey", 1))
    )
    assert await inventory.figures("honey") == (9, 0, 0, 0, 0, 0, 9)
    await inventory.adds_up()


async def test_a_hold_expires_by_itself_and_a_committed_one_does_not(inventory: Inventory) -> None:
    await inventory.stocked("honey", 10)
    expires, paid = uuid4(), uuid4()
    await inventory.hear(*(reserve(id, ("honey", 3), firm=False) for id in (expires, paid)))
    await inventory.hear(commit(paid))
    await inventory.wait(14)
    assert not await inventory.published(ReservationExpired)
    await inventory.wait(1)
    assert [e.reservation for e in await inventory.published(ReservationExpired)] == [expires]
    await inventory.hear(commit(expires))
    assert [e.reservation for e in await inventory.published(CommitRefused)] == [expires]
    assert [e.reservation for e in await inventory.published(StockCommitted)] == [paid]
    assert await inventory.figures("honey") == (10, 0, 3, 0, 0, 0, 7)


async def test_a_campaign_is_drawn_from_across_batches(inventory: Inventory) -> None:
    await inventory.stocked("honey", 10)
    campaign, order, more = uuid4(), uuid4(), uuid4()
    await inventory.hear(reserve(campaign, ("honey", 12), mode="partial"))
    await inventory.hear(reserve(order, ("honey", 6), source=campaign), reserve(more, ("honey", 6), source=campaign))
    await inventory.hear(release(campaign))
    (rest,) = await inventory.published(ReservationReleased)
    assert rest.quantity == 4
    assert await inventory.figures("honey") == (10, 0, 6, 0, 0, 0, 4)


async def test_a_closed_and_counted_stall_writes_off_the_rest_and_a_late_sale_takes_it_back(
    inventory: Inventory,
) -> None:
    await inventory.stocked("honey", 10)
    await inventory.lend("t1", "honey", 8)
    await inventory.hear(session_closed("t1"))
    back = {"terminal": "t1", "pool": POOL, "item": "honey", "quantity": 3}
    answer = await inventory.post("/v1/allotments:return", back)
    assert (answer.json()["lost_total"], answer.json()["allotted"]) == (5, 0)
    assert await inventory.figures("honey") == (5, 0, 0, 0, 0, 0, 5)
    await inventory.hear(sale(uuid4(), "t1", ("honey", 2)))
    assert await inventory.figures("honey") == (5, 0, 0, 0, 0, 0, 5)
    await inventory.adds_up()


@pytest.mark.seeded
async def test_seeded_no_shortfall_rule(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database refuses a write that breaks a promise without a shortfall, whatever the code computed."""
    await inventory.stocked("honey", 5)
    await inventory.hear(reserve(uuid4(), ("honey", 5)))
    monkeypatch.setattr(Stock, "shortfall", property(lambda _: 0))
    await inventory.hear(sale(uuid4(), "t1", ("honey", 1)))
    error = await inventory.context.pool.fetchval("select error from parked")
    assert asyncpg.CheckViolationError.__name__ in error
    assert await inventory.figures("honey") == (5, 0, 5, 0, 0, 0, 0)


@pytest.mark.seeded
async def test_seeded_expiry_that_ignores_the_commit(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweeper that trusts its deadline releases goods that were paid for."""
    monkeypatch.setattr(reserving, "expire", lambda known, _now: reserving._end(known))
    monkeypatch.setattr("services.kit.transaction.unit_of_work.UnitOfWork.clear_deadline", lambda *_: None)
    with pytest.raises(AssertionError):
        await test_a_hold_expires_by_itself_and_a_committed_one_does_not(inventory)
