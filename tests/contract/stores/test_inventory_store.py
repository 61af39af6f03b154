"""Contract of inventory's store, in memory and on PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from contracts.events.inventory import Place, Reason
from contracts.events.orders import GoodsLine
from services.inventory.domain.allotment import Allotment
from services.inventory.domain.lot import Lot, LotState
from services.inventory.domain.reservation import Reservation, ReservationState
from services.inventory.domain.sale import Sale
from services.inventory.domain.stock import Claim, Move, Stock
from services.inventory.repository.store import CatalogEntry, Explanation, Movement, StockChanges, StockStore
from tests.contract.stores.databases import StoreDatabase

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
POOL, OTHER = "d1@s1", "d1@s2"
ITEMS, TERMINALS = ("egg", "honey"), ("t1", "t2")


def uid(n: int) -> UUID:
    return UUID(int=n)


def lot(n: int, **more: Any) -> Lot:
    known: dict[str, Any] = {"pool": POOL, "item": "honey", "household": "h1", "received": 10}
    return Lot(**known | {"id": uid(n), "received_at": NOON, "harvested_at": NOON} | more)


def reservation(n: int, *lines: tuple[str, int], state: ReservationState = ReservationState.FIRM) -> Reservation:
    goods = (GoodsLine(line=no, item=item, quantity=quantity) for no, (item, quantity) in enumerate(lines, 1))
    return Reservation(uid(n), POOL, uid(1000 + n), state, tuple(goods))


def movement(n: int, cause: str, source: Place | Claim, target: Place | Claim, quantity: int, **more: Any) -> Movement:
    at = more.pop("at", NOON)
    return Movement(uid(n), Move(POOL, "honey", source, target, quantity, cause, **more), "test", at)


def explanation(cause: str) -> Explanation:
    return Explanation(cause, POOL, "honey", Reason.SPOILED, "a note", "operator", NOON)


STOCK = (Stock(POOL, "egg", on_hand=5, held=2, allotted=4), Stock(POOL, "honey", on_hand=-1, closed=True))
LOTS = (lot(1, state=LotState.RELEASED, released=8, rejected=2, on_hand=8, sell_by=NOON), lot(2))
HELD = replace(reservation(3, ("honey", 2), ("egg", 1), state=ReservationState.HELD), expires_at=NOON)
ALLOTMENT = Allotment("t1", POOL, "honey", granted=5, sold=2, allotted=3, version=1, lease_until=NOON)
SALE = Sale(uid(5), "t1", POOL)
MOVEMENTS = (
    movement(11, "lot/1", Place.INTAKE, Place.ON_HAND, 8, lot=uid(1)),
    movement(12, "sale/5", Place.ON_HAND, Place.SOLD, 2, lot=uid(1), inferred=True),
    movement(13, "sale/5", Claim.ALLOTTED, Claim.FREE, 2),
)
EVERYTHING = StockChanges(
    stock=STOCK,
    lots=LOTS,
    reservations=[HELD],
    allotments=[ALLOTMENT],
    sales=[SALE],
    movements=MOVEMENTS,
    explanations=[explanation("sale/5")],
    catalog=[CatalogEntry("item", "honey", {"unit": "piece", "names": ["蜂蜜"], "grams": None})],
)


@pytest.fixture
async def database(open_database: Callable[[str], Awaitable[StoreDatabase]]) -> StoreDatabase:
    return await open_database("inventory")


async def save(database: StoreDatabase, *pools: str, **changes: Any) -> None:
    async with database.transaction() as store:
        await store.lock_pools(pools or (POOL,))
        await store.save(StockChanges(**changes))


async def read(store: StockStore) -> dict[str, Any]:
    """Return everything that the cases below write; results without an order are sorted."""
    keys = [(pool, item) for pool in (POOL, OTHER) for item in ITEMS]
    ids, causes = [uid(n) for n in range(400)], ["lot/1", *(f"sale/{n}" for n in range(30))]
    claims = await store.read_claimants(dict.fromkeys(keys, 7))
    return {
        "stock": sorted(await store.read_stock(keys), key=str),
        "lots": sorted(await store.read_lots([], ids), key=str),
        "lots with goods": sorted(await store.read_lots(keys, []), key=str),
        "reservations": sorted(await store.read_reservations(ids), key=str),
        "allotments": await store.read_allotments([(terminal, POOL) for terminal in TERMINALS]),
        "sales": sorted(await store.read_sales(ids), key=str),
        "claimants": {key: [replace(claim, no=0) for claim in found] for key, found in claims.items()},
        "history": await store.read_history(causes),
        "inferred": {id: await store.read_inferred(POOL, "honey", id) for id in (uid(1), None)},
        "change": [await store.read_change_since(POOL, "honey", id, NOON) for id in (uid(1), None)],
        "view": await store.read_lot_view(uid(1)),
        "catalog": [await store.read_catalog_entry("item", item) for item in ITEMS],
    }


async def test_every_table_is_read_back_as_it_was_written(database: StoreDatabase) -> None:
    async with database.transaction() as store:
        await store.lock_pools([POOL])
        await store.save(EVERYTHING)
        own = await read(store)
    found = await read(database.reader)
    assert found == own
    assert found["stock"] == sorted(STOCK, key=str)
    assert (found["lots"], found["lots with goods"]) == (sorted(LOTS, key=str), [LOTS[0]])
    assert (found["reservations"], found["allotments"], found["sales"]) == ([HELD], [ALLOTMENT], [SALE])
    assert found["history"] == {"lot/1": [MOVEMENTS[0].move], "sale/5": [MOVEMENTS[1].move, MOVEMENTS[2].move]}
    assert found["catalog"] == [None, {"unit": "piece", "names": ["蜂蜜"], "grams": None}]


async def test_rows_that_do_not_exist_are_left_out(database: StoreDatabase) -> None:
    found = await read(database.reader)
    assert (found.pop("change"), found.pop("catalog"), found.pop("inferred")) == (
        [0, 0], [None, None], {uid(1): [], None: []},
    )  # fmt: skip
    assert not any(found.values())
    assert await database.reader.read_stock([]) == []
    assert await database.reader.read_lots([], []) == []
    assert await database.reader.read_allotments([]) == []


async def test_nothing_of_a_transaction_is_seen_before_it_ends_or_after_it_fails(database: StoreDatabase) -> None:
    before = await read(database.reader)

    async def fail() -> None:
        async with database.transaction() as store:
            await store.lock_pools([POOL])
            await store.save(EVERYTHING)
            assert await read(database.reader) == before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await read(database.reader) == before
    await save(database, movements=MOVEMENTS, explanations=[explanation("sale/5")])


async def test_a_row_replaces_the_row_of_its_key(database: StoreDatabase) -> None:
    async with database.transaction() as store:
        await store.lock_pools([POOL])
        await store.save(EVERYTHING)
    changed = {
        "stock": [Stock(POOL, "egg", on_hand=1, unconfirmed=1, closed=True), Stock(POOL, "honey", allocated=3)],
        "lots": [replace(LOTS[0], on_hand=0), replace(LOTS[1], state=LotState.REJECTED, rejected=10)],
        "reservations": [replace(HELD, state=ReservationState.FIRM, expires_at=None)],
        "allotments": [replace(ALLOTMENT, returned=1, lost=2, allotted=0, version=2, counted=True, closed=True)],
        "sales": [replace(SALE, voided=True)],
    }
    await save(database, **changed)
    found = await read(database.reader)
    assert {name: found[name] for name in changed} == changed
    assert found["lots with goods"] == []


async def test_lines_of_a_reservation_are_replaced_by_their_numbers(database: StoreDatabase) -> None:
    """A line that is not written again stays: the domain empties lines and removes none."""
    await save(database, reservations=[HELD])
    more = (GoodsLine(line=3, item="honey", quantity=4), GoodsLine(line=1, item="honey", quantity=0))
    await save(database, reservations=[replace(HELD, lines=more)])
    (found,) = await database.reader.read_reservations([HELD.id])
    assert [(line.line, line.item, line.quantity) for line in found.lines] == [
        (1, "honey", 0), (2, "egg", 1), (3, "honey", 4),
    ]  # fmt: skip


async def test_allotments_are_sorted_whatever_the_order_of_writing(database: StoreDatabase) -> None:
    rows = [Allotment(terminal, POOL, item) for terminal in ("t2", "t1") for item in ("honey", "egg")]
    await save(database, POOL, OTHER, allotments=[*rows, Allotment("t1", OTHER, "egg")])
    found = await database.reader.read_allotments([("t2", POOL), ("t1", POOL)])
    assert [(row.terminal, row.item) for row in found] == [(t, item) for t in TERMINALS for item in ITEMS]


async def test_what_is_in_doubt_and_the_units_of_items_are_read(database: StoreDatabase) -> None:
    doubted = {"t2": 7, "t1": 5, "t3": 0}
    allotments = [
        Allotment(terminal, POOL, "honey", sold=9, overdrawn=9, doubted=quantity, confirmed=2)
        for terminal, quantity in doubted.items()
    ]
    other = Allotment("t1", POOL, "egg", sold=9, overdrawn=9, doubted=9)
    entries = [CatalogEntry("item", "honey", {"unit": "piece"}), CatalogEntry("item", "egg", {})]
    stock = Stock(POOL, "honey", on_hand=1, doubted=12)
    await save(database, stock=[stock], allotments=[*allotments, other], catalog=entries)
    assert await database.reader.read_doubted(POOL, "honey") == [allotments[1], allotments[0]]
    assert await database.reader.read_stock([(POOL, "honey")]) == [stock]
    assert await database.reader.read_units(["honey", "egg", "none"]) == {"honey": "piece"}


async def test_movements_are_read_oldest_first(database: StoreDatabase) -> None:
    out = {"source": Place.ON_HAND, "target": Place.SOLD, "inferred": True}
    moves = [movement(n, "sale/1", quantity=n, lot=uid(1) if n % 2 else None, **out) for n in range(9, 0, -1)]
    await save(database, movements=[*moves[:5], movement(10, "sale/3", Place.ON_HAND, Place.SOLD, 10, lot=uid(1))])
    async with database.transaction() as store:
        await store.lock_pools([POOL])
        await store.save(StockChanges(movements=moves[5:]))
        assert await store.read_history(["sale/1", "sale/2"]) == {"sale/1": [one.move for one in moves]}
        assert [move.quantity for move in await store.read_inferred(POOL, "honey", uid(1))] == [9, 7, 5, 3, 1]
        assert [move.quantity for move in await store.read_inferred(POOL, "honey", None)] == [8, 6, 4, 2]
        assert await store.read_inferred(POOL, "egg", None) == []


async def test_the_change_since_an_instant_counts_what_is_later(database: StoreDatabase) -> None:
    later = NOON + timedelta(microseconds=1)
    moves = [
        movement(1, "lot/1", Place.INTAKE, Place.ON_HAND, 50, lot=uid(1), at=NOON),
        movement(2, "lot/1", Place.INTAKE, Place.ON_HAND, 20, lot=uid(1), at=later),
        movement(3, "sale/1", Place.ON_HAND, Place.SOLD, 5, at=later),
        movement(4, "sale/1", Claim.ALLOTTED, Claim.FREE, 5, at=later),
        movement(5, "sale/2", Place.SOLD, Place.ON_HAND, 1, lot=uid(2), at=later),
    ]
    await save(database, movements=moves)
    change = database.reader.read_change_since
    assert [await change(POOL, "honey", id, NOON) for id in (None, uid(1), uid(2), uid(3))] == [16, 20, 1, 0]
    assert await change(POOL, "honey", None, later) == 0
    assert await change(OTHER, "honey", None, NOON) == 0


async def test_claimants_are_the_newest_claims_holds_first_up_to_the_quantity(database: StoreDatabase) -> None:
    held, ended = ReservationState.HELD, ReservationState.RELEASED
    rows = [
        reservation(9, ("honey", 2)),
        reservation(1, ("honey", 3), ("honey", 1), state=held),
        reservation(8, ("egg", 1), ("honey", 4), state=held),
        reservation(2, ("honey", 5)),
        reservation(3, ("honey", 6), state=ended),
    ]
    await save(database, reservations=rows[:3])
    await save(database, reservations=[*rows[3:], rows[0]])  # a change gives a reservation no new number

    async def named(item: str, upto: int) -> list[tuple[int, int]]:
        found = (await database.reader.read_claimants({(POOL, item): upto})).get((POOL, item), [])
        assert all(claim.order == uid(1000 + claim.reservation.int) for claim in found)
        return [(claim.reservation.int, claim.quantity) for claim in found]

    every = [(8, 4), (1, 3), (1, 1), (2, 5), (9, 2)]
    assert [await named("honey", upto) for upto in (0, 1, 4, 5, 8, 9, 99)] == [
        [], every[:1], every[:1], every[:2], every[:3], every[:4], every,
    ]  # fmt: skip
    assert await named("egg", 1) == [(8, 1)]


async def test_a_lot_is_shown_with_the_reason_of_its_rejection(database: StoreDatabase) -> None:
    await save(database, lots=[lot(1), lot(2)], explanations=[explanation(f"inspection/{uid(1)}")])
    assert await database.reader.read_lot_view(uid(1)) == {
        "lot_id": uid(1), "pool": POOL, "item": "honey", "household": "h1", "state": "received", "quantity": 10,
        "released": 0, "rejected": 0, "on_hand": 0, "harvested_at": NOON, "sell_by": None, "received_at": NOON,
        "reason": "spoiled",
    }  # fmt: skip
    assert (await database.reader.read_lot_view(uid(2)))["reason"] is None


class PromisedTwice(Stock):
    """Stock without the rule of the shortfall."""

    shortfall = property(lambda _: 0)  # type: ignore[assignment]


@pytest.mark.parametrize(
    "changes",
    [
        {"stock": [PromisedTwice(POOL, "honey", on_hand=1, held=2)]},
        {"lots": [lot(1, on_hand=-1)]},
        {"lots": [lot(1, received=0)]},
        {"allotments": [Allotment("t1", POOL, "honey", granted=2, allotted=1)]},
        {"allotments": [Allotment("t1", POOL, "honey", granted=-1, lost=-1)]},
        {"allotments": [Allotment("t1", POOL, "honey", allotted=-1, unconfirmed=1)]},
        {"movements": [movement(1, "sale/1", Place.ON_HAND, Place.SOLD, 0)]},
    ],
    ids=str,
)
async def test_a_row_that_breaks_a_rule_is_refused(database: StoreDatabase, changes: dict[str, Any]) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await save(database, **changes)


@pytest.mark.parametrize("changes", [{"movements": MOVEMENTS[:1]}, {"explanations": [explanation("lot/1")]}], ids=str)
async def test_a_movement_or_explanation_is_written_once(database: StoreDatabase, changes: dict[str, Any]) -> None:
    await save(database, **changes)
    with pytest.raises(asyncpg.UniqueViolationError):
        await save(database, **changes)


@pytest.mark.parametrize("known", [True, False])
async def test_a_pool_is_locked_until_the_end_of_the_transaction(database: StoreDatabase, known: bool) -> None:
    """The second owner reads what the first has committed; other pools are free. A new pool is locked, too."""
    if known:
        await save(database, stock=[Stock(POOL, "honey", on_hand=1)])
    async with database.transaction() as second:
        async with database.transaction() as first:
            await first.lock_pools([POOL])
            await save(database, OTHER, stock=[Stock(OTHER, "honey")])
            waiting = await database.waits(second.lock_pools([POOL]))
            await first.save(StockChanges(stock=[Stock(POOL, "honey", on_hand=2)]))
        await waiting
        assert await second.read_stock([(POOL, "honey")]) == [Stock(POOL, "honey", on_hand=2)]


async def test_pools_are_locked_in_order_so_two_owners_never_deadlock(database: StoreDatabase) -> None:
    await save(database, OTHER, POOL)
    async with database.transaction() as second:
        async with database.transaction() as first:
            await first.lock_pools([POOL])
            waiting = await database.waits(second.lock_pools([OTHER, POOL]))
            await first.lock_pools([OTHER])
        await waiting


async def test_two_writers_of_the_same_catalogue_entries_wait_and_the_later_one_counts(database: StoreDatabase) -> None:
    first_body, second_body = ([CatalogEntry("item", item, {"n": n}) for item in ITEMS] for n in (1, 2))
    async with database.transaction() as second:
        async with database.transaction() as first:
            await first.save(StockChanges(catalog=first_body))
            waiting = await database.waits(second.save(StockChanges(catalog=second_body[::-1])))
        await waiting
    assert [await database.reader.read_catalog_entry("item", item) for item in ITEMS] == [{"n": 2}, {"n": 2}]


@pytest.mark.stack
@pytest.mark.parametrize("seed", range(4))
async def test_random_changes_give_the_same_rows_in_memory_and_on_postgresql(
    open_pair: Callable[[str], Awaitable[tuple[StoreDatabase, StoreDatabase]]], seed: int
) -> None:
    rng = random.Random(seed)
    memory, postgres = await open_pair("inventory")
    for step in range(15):
        changes, fails = random_changes(rng, step), rng.random() < 0.2
        seen = []
        for database in (memory, postgres):
            try:
                async with database.transaction() as store:
                    await store.lock_pools([POOL])
                    await store.save(changes)
                    seen.append(await read(store))
                    assert not fails
            except AssertionError:
                assert fails
            seen.append(await read(database.reader))
        assert seen[:2] == seen[2:]


def random_changes(rng: random.Random, step: int) -> StockChanges:
    """Return some rows of each table, new ones and changes of earlier ones."""

    def some(values: Any) -> list[Any]:
        return rng.sample(list(values), rng.randint(0, 2))

    def random_reservation(n: int) -> Reservation:
        lines = [(rng.choice(ITEMS), rng.randint(0, 3)) for _ in range(rng.randint(0, 3))]
        return reservation(n, *lines, state=rng.choice(list(ReservationState)))

    def random_movement(n: int) -> Movement:
        places: Any = rng.sample(list(rng.choice((Place, Claim))), 2)
        at, named = NOON + timedelta(hours=rng.randint(-1, 1)), rng.choice((None, uid(1)))
        inferred = rng.random() < 0.5
        return movement(n, f"sale/{rng.randint(1, 3)}", *places, n, at=at, lot=named, inferred=inferred)

    allotted = rng.randint(0, 5)
    return StockChanges(
        stock=[Stock(POOL, item, rng.randint(-2, 5), rng.randint(0, 2), closed=step % 2 > 0) for item in some(ITEMS)],
        lots=[lot(n, state=LotState.RELEASED, on_hand=rng.randint(0, 3)) for n in some(range(3))],
        reservations=[random_reservation(n) for n in some(range(100, 106))],
        allotments=[Allotment(t, POOL, "egg", allotted, allotted=allotted) for t in some(TERMINALS)],
        sales=[Sale(uid(n), "t1", POOL, rng.random() < 0.5) for n in some(range(200, 204))][:1],
        movements=[random_movement(step * 10 + n) for n in range(1, rng.randint(1, 6))],
        explanations=[explanation(f"inspection/{uid(step)}")],
        catalog=[CatalogEntry("item", item, {"step": step}) for item in some(ITEMS)],
    )


async def test_the_reasons_of_causes_are_read_back(database: StoreDatabase):
    async with database.transaction() as store:
        await store.save(StockChanges(explanations=[explanation("waste/1")]))
        assert await store.read_reasons(["waste/1", "waste/2"]) == {"waste/1": Reason.SPOILED}
        assert await store.read_reasons([]) == {}
