"""The store of orders, in memory and in PostgreSQL: orders, the catalogue and stalls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from contracts.events.catalog import MarketDayPut, SitePut, TerminalPut
from contracts.events.inventory import AllotmentGranted
from contracts.events.orders import SaleLine
from services.orders.domain.order.order import Awaiting, Order, OrderState
from services.orders.domain.order.recipient import Recipient
from services.orders.domain.stall import Close, Sale, Session, Stall, StallUpload, Void
from services.orders.repository.rows import Cause, money_row, step_row
from services.orders.repository.store import Store
from tests.contract.stores.databases import StoreDatabase
from tests.unit.orders_given import NOW, SLOT, an_order

OpenDatabase = Callable[[str], Awaitable[StoreDatabase]]
RECIPIENT = Recipient("李姐", "13900000000", "2栋1单元", 28.2, 112.9)
HOUR = timedelta(hours=1)
POOL = "sat@square"
TERMINAL = TerminalPut(id="stall-1", site="square")


@pytest.fixture
async def db(open_database: OpenDatabase) -> StoreDatabase:
    return await open_database("orders")


def order(n: int, payment: str = "on_account", **terms: Any) -> Order:
    made = an_order(payment)
    return replace(made, terms=replace(made.terms, order=UUID(int=n), **terms))


async def insert(store: Store, *orders: Order, digest: bytes = b"1") -> set[UUID]:
    new = await store.insert_orders(orders, dict.fromkeys((one.id for one in orders), digest))
    inserted = [one for one in orders if one.id in new]
    ids = [one.id for one in inserted]
    await store.insert_details(
        inserted, dict.fromkeys(ids, RECIPIENT), dict.fromkeys(ids, Cause("r", "resident.a")), NOW
    )
    return new


async def save(store: Store, *orders: Order, notes: Sequence[Any] = (), refunds: Sequence[Any] = ()) -> None:
    steps = [step_row(one, OrderState.PLACED, "stock-reserved", Cause("c", "inventory"), NOW) for one in orders]
    await store.save_orders(orders, steps, notes, [], refunds)


async def test_orders_are_read_as_they_were_inserted(db: StoreDatabase):
    local = order(1, due_by=SLOT.astimezone(timezone(HOUR * 8)), basket=UUID(int=9), campaign=UUID(int=8))
    paid = order(2, "prepaid")
    async with db.transaction() as store:
        assert await insert(store, paid, local) == {local.id, paid.id}
        assert await store.lock_orders({paid.id, local.id, UUID(int=3)}) == [local, paid]
    found = await db.reader.find_orders([paid.id, local.id, UUID(int=3)])
    assert found == {local.id: (local, b"1"), paid.id: (paid, b"1")}
    assert found[local.id][0].terms.due_by.utcoffset() == timedelta(0)
    assert await db.reader.lock_orders([]) == []


async def test_a_receipt_prepays_one_order(db: StoreDatabase):
    async with db.transaction() as store:
        await insert(store, order(1, receipt="simulator:tx"), order(2), order(3))
        assert await store.lock_orders([UUID(int=1)]) == [order(1, receipt="simulator:tx")]
    with pytest.raises(asyncpg.UniqueViolationError):
        async with db.transaction() as store:
            await insert(store, order(4, receipt="simulator:tx"))


async def test_a_taken_id_changes_nothing(db: StoreDatabase):
    async with db.transaction() as store:
        await insert(store, order(1))
    async with db.transaction() as store:
        assert await insert(store, order(1, market_day="sun"), order(2), digest=b"2") == {UUID(int=2)}
    assert (await db.reader.find_orders([UUID(int=1)]))[UUID(int=1)] == (order(1), b"1")


@pytest.mark.parametrize("commits", [True, False])
async def test_an_insert_waits_for_the_transaction_that_has_the_id(db: StoreDatabase, commits: bool):
    async def second() -> set[UUID]:
        async with db.transaction() as store:
            return await insert(store, order(1))

    try:
        async with db.transaction() as store:
            await insert(store, order(1))
            waiting = await db.waits(second())
            if not commits:
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert await waiting == (set() if commits else {UUID(int=1)})


async def test_a_lock_shows_the_change_of_the_transaction_before(db: StoreDatabase):
    held = replace(order(1), state=OrderState.HELD, version=2, hold_until=SLOT)

    async def second() -> list[Order]:
        async with db.transaction() as store:
            return await store.lock_orders([UUID(int=2), UUID(int=1)])  # type: ignore[no-any-return]

    async with db.transaction() as store:
        await insert(store, order(1), order(2))
    async with db.transaction() as store:
        await store.lock_orders([UUID(int=1)])
        waiting = await db.waits(second())
        await save(store, held)
        assert (await db.reader.find_orders([held.id]))[held.id][0] == order(1), "not committed yet"
    assert await waiting == [held, order(2)]


async def test_the_state_of_an_order_is_saved_whole(db: StoreDatabase):
    known = order(1, "prepaid")
    money = replace(known.money[0], refunded=True)
    state = {"attempt": 2, "awaiting": Awaiting.JOB_CANCELLED, "reason": "why", "wave": "w1", "as_promised": False}
    times = {"slot_from": SLOT, "slot_until": SLOT + HOUR, "hold_until": NOW}
    after = replace(known, state=OrderState.CANCELLING, version=2, money=(money,), **state, **times)
    note = {"order_id": known.id, "n": 2, "note": "no time"}
    async with db.transaction() as store:
        await insert(store, known)
        await save(store, after, notes=[note], refunds=[money_row(known.id, money, NOW)])
    assert (await db.reader.find_orders([known.id]))[known.id] == (after, b"1")


async def test_a_step_and_a_refund_count_once(db: StoreDatabase):
    known = order(1, "prepaid")
    refund = money_row(known.id, known.money[0], NOW)
    async with db.transaction() as store:
        await insert(store, known)
        await save(store, replace(known, version=2), refunds=[refund])
    for again in (save, lambda store, one: save(store, replace(one, version=3), refunds=[refund])):
        with pytest.raises(asyncpg.UniqueViolationError):
            async with db.transaction() as store:
                await again(store, replace(known, version=2))


async def test_no_more_is_refunded_than_was_paid(db: StoreDatabase):
    async with db.transaction() as store:
        await insert(store, order(1))
    with pytest.raises(asyncpg.CheckViolationError):
        async with db.transaction() as store:
            await save(store, replace(order(1), version=2).with_money("p", -1))


async def test_an_error_rolls_everything_back(db: StoreDatabase):
    async def fails() -> None:
        async with db.transaction() as store:
            await insert(store, order(1))
            await store.save_sold_out({("p", "honey"): True})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert await db.reader.find_orders([UUID(int=1)]) == {}
    assert await db.reader.catalog_versions() == (0, 0)


async def test_a_conflict_is_recorded_once(db: StoreDatabase):
    async with db.transaction() as store:
        await insert(store, order(1))
        for _ in range(2):
            await store.record_order_conflicts([(UUID(int=1), b"2", {"a": 1})], NOW)
            await store.record_campaign_conflicts([(UUID(int=1), b"2", {"a": 1})], NOW)


async def test_wrong_codes_count_for_an_hour_from_the_first(db: StoreDatabase):
    id = UUID(int=1)
    async with db.transaction() as store:
        assert await store.count_wrong_codes(id, NOW) == 0
        assert [await store.add_wrong_code(id, NOW + HOUR * 0.4 * n) for n in range(3)] == [1, 2, 3]
        assert await store.count_wrong_codes(id, NOW + HOUR * 0.9) == 3
        assert await store.count_wrong_codes(id, NOW + HOUR) == 0
        assert await store.add_wrong_code(id, NOW + HOUR) == 1


async def test_an_erased_person_leaves_the_order_without_its_code(db: StoreDatabase):
    note = {"order_id": UUID(int=1), "n": 2, "note": "call 139"}
    async with db.transaction() as store:
        await insert(store, order(1), order(2))
        await save(store, replace(order(1), version=2), notes=[note])
        first = await store.erase_person(UUID(int=1), "operator", "asked")
    async with db.transaction() as store:
        assert await store.erase_person(UUID(int=1), "buyer", "again") == first
    assert (first["order_id"], first["erased_by"], first["why"]) == (UUID(int=1), "operator", "asked")
    found = await db.reader.find_orders([UUID(int=1), UUID(int=2)])
    assert [one.terms.code for one, _ in found.values()] == ["", "123456"]


def site(id: str, station: str = "guandu", name: str = "n") -> SitePut:
    return SitePut(id=id, name_zh=name, lat=28.2, lon=112.9, station=station)


def day(id: str, *waves: str) -> MarketDayPut:
    terms = {"station": "guandu", "slot_from": SLOT, "slot_until": SLOT + HOUR, "cutoff": NOW, "capacity": 5}
    found = [{"id": wave, **terms} for wave in waves]
    times = {"date": "2024-11-02", "opens_at": NOW, "closes_at": SLOT}
    return MarketDayPut.model_validate({"id": id, "sites": [], "waves": found, **times})


async def test_an_entry_changes_its_version_and_that_of_the_catalogue(db: StoreDatabase):
    async with db.transaction() as store:
        assert await store.upsert_entry("sites", site("a"), NOW) == (True, 1)
        assert await store.upsert_entry("sites", site("a"), NOW) == (False, 1)
        assert await store.upsert_entry("sites", site("a", name="m"), NOW) == (True, 2)
        assert await store.upsert_entry("terminals", TERMINAL, NOW) == (True, 1)
    assert await db.reader.catalog_versions() == (3, 0)
    assert sorted(await db.reader.read_catalog(), key=str) == sorted([site("a", name="m"), TERMINAL], key=str)
    assert await db.reader.find_entry("sites", "a") == site("a", name="m")
    assert await db.reader.find_entry("sites", "b") is None


async def test_the_catalogue_is_searched_by_reference(db: StoreDatabase):
    async with db.transaction() as store:
        for one in (site("b"), site("a"), site("c", "other")):
            await store.upsert_entry("sites", one, NOW)
        for other in (day("sat", "w1", "w2"), day("sun", "w3")):
            await store.upsert_entry("market-days", other, NOW)
        assert await store.sites_of("guandu") == [site("a"), site("b")]
        assert await store.missing_entries({("sites", "a"), ("sites", "x")}) == {("sites", "x")}
        assert await store.missing_entries([]) == set()
        assert await store.waves_of_others("sun", ["w2", "w3", "w4"]) == {"w2": "sat"}


async def test_two_market_days_that_claim_a_wave_wait_for_each_other(db: StoreDatabase):
    async def second() -> Any:
        async with db.transaction() as store:
            return await store.waves_of_others("sun", ["w1"])

    async with db.transaction() as store:
        assert await store.waves_of_others("sat", ["w1"]) == {}
        waiting = await db.waits(second())
        await store.upsert_entry("market-days", day("sat", "w1"), NOW)
    assert await waiting == {"w1": "sat"}


async def test_sold_out_items_have_a_version_of_their_own(db: StoreDatabase):
    async with db.transaction() as store:
        await store.save_sold_out({})
        await store.save_sold_out({("p", "tofu"): True, ("p", "honey"): True, ("q", "honey"): True})
        await store.save_sold_out({("q", "honey"): False})
        assert await store.sold_out_items("p") == ["honey", "tofu"]
    assert await db.reader.read_sold_out() == {("p", "honey"), ("p", "tofu")}
    assert await db.reader.catalog_versions() == (0, 2)


async def test_one_transaction_at_a_time_has_the_terminal(db: StoreDatabase):
    async def second() -> Any:
        async with db.transaction() as store:
            return await store.lock_terminal("stall-1")

    async with db.transaction() as store:
        assert await store.lock_terminal("stall-1") is None
        await store.upsert_entry("terminals", TERMINAL, NOW)
    async with db.transaction() as store:
        assert (await store.lock_terminal("stall-1"))["site"] == "square"
        waiting = await db.waits(second())
        await store.upsert_entry("terminals", TerminalPut(id="stall-1", site="moved"), NOW)
    assert (await waiting)["site"] == "moved"


def upload(seq: int, body: Any, session: str = "s1") -> StallUpload:
    return StallUpload("stall-1", POOL, "d1", session, seq, NOW, body)


def sale(n: int, *goods: tuple[str, int]) -> Sale:
    return Sale(UUID(int=n), tuple(SaleLine(item=item, quantity=many, amount_fen=5 * many) for item, many in goods))


STALL = Stall(
    sales={UUID(int=n): upload(n, sale(n, ("honey", n), ("tofu", 3))) for n in (1, 2)},
    voids={UUID(int=2): upload(3, Void(UUID(int=2))), UUID(int=7): upload(4, Void(UUID(int=7)))},
    sessions={
        ("d1", "s1"): Session(POOL, 100, 20, manifest=upload(5, Close(5, 120)), complete=True),
        ("d1", "s2"): Session(POOL, 50),
    },
)


async def test_a_stall_is_read_as_it_was_saved(db: StoreDatabase):
    async with db.transaction() as store:
        assert await store.load_stall("stall-1", [UUID(int=1)]) == Stall()
        await store.save_stall("stall-1", Stall(), STALL, NOW)
    ids = {*STALL.sales, *STALL.voids}
    assert await db.reader.load_stall("stall-1", ids) == STALL
    other = await db.reader.load_stall("stall-2", [UUID(int=1)])
    assert (other.sales, other.sessions) == ({UUID(int=1): STALL.sales[UUID(int=1)]}, {})
    longer = replace(STALL, sessions={**STALL.sessions, ("d1", "s2"): Session(POOL, 50, 7, 1)})
    async with db.transaction() as store:
        await store.save_stall("stall-1", STALL, longer, NOW)
    assert await db.reader.load_stall("stall-1", ids) == longer


async def test_a_sale_is_stored_once(db: StoreDatabase):
    async with db.transaction() as store:
        await store.save_stall("stall-1", Stall(), STALL, NOW)
    with pytest.raises(asyncpg.UniqueViolationError):
        async with db.transaction() as store:
            await store.save_stall("stall-1", Stall(), STALL, NOW)


async def test_a_terminal_has_one_device_until_a_reset(db: StoreDatabase):
    async with db.transaction() as store:
        assert await store.bind_device("t", "a") == ("a", False)
        assert await store.bind_device("t", "b") == ("a", False)
        assert await store.reset_device("t", None) == ["a"]
        assert await store.bind_device("t", "a") == (None, True)
        assert await store.bind_device("t", "b") == ("b", False)
        assert await store.reset_device("t", "c") == ["a", "b"]
        assert await store.bind_device("t", "a") == ("c", True)
        assert await store.reset_device("t", "a") == ["b", "c"]
        assert await store.reset_device("new", "x") == []
        assert await store.bind_device("new", "y") == ("x", False)


async def test_allotments_keep_the_newest_version_and_count_sales_without_voids(db: StoreDatabase):
    def granted(item: str, version: int, total: int) -> AllotmentGranted:
        lent = {"quantity": total, "granted_total": total, "returned_total": 1, "lease_until": SLOT}
        return AllotmentGranted(terminal="stall-1", pool=POOL, item=item, version=version, **lent)

    async with db.transaction() as store:
        for item, version, total in (("oil", 1, 5), ("honey", 2, 9), ("honey", 1, 4), ("honey", 2, 8)):
            await store.save_allotments({("stall-1", POOL, item): granted(item, version, total)})
        await store.save_stall("stall-1", Stall(), STALL, NOW)
        found = await store.read_allotments("stall-1", POOL)
        assert await store.read_allotments("stall-1", "q") == []
    known = {"granted_total": 9, "returned_total": 1, "version": 2, "lease_until": SLOT}
    nothing = {"granted_total": 0, "returned_total": 0, "version": 0, "lease_until": None}
    assert found == [
        {"item": "honey", **known, "sold_total": 1},
        {"item": "oil", **known, "granted_total": 5, "version": 1, "sold_total": 0},
        {"item": "tofu", **nothing, "sold_total": 3},
    ]


async def test_holds_of_unpaid_orders_are_counted_one_transaction_after_the_other(db: StoreDatabase):
    placed = [order(1), order(2), replace(order(3), state=OrderState.CANCELLED)]
    async with db.transaction() as store:
        await store.insert_orders(placed, {one.id: b"o" for one in placed})
        await store.insert_holds([(holder, one.id) for one in placed for holder in ("anna", "address/x")])
        await store.insert_holds([])

    async def second() -> dict[str, int]:
        async with db.transaction() as store:
            return await store.count_holds(["bo", "anna"])  # type: ignore[no-any-return]

    async with db.transaction() as store:
        assert await store.count_holds(["anna", "address/x", "bo"]) == {"anna": 2, "address/x": 2}
        assert await store.count_holds([]) == {}
        waiting = await db.waits(second())
        await store.insert_orders([order(4)], {order(4).id: b"o"})
        await store.insert_holds([("anna", order(4).id)])
    assert await waiting == {"anna": 3}
