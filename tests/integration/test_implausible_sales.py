"""A sale far beyond what was lent moves its goods, and fails no order before staff has confirmed it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.events.inventory import ClaimsExceeded, StockMoved
from services.inventory.app import SERVICE
from services.inventory.domain.plausibility import LEAST
from tests.integration.callers import Callers
from tests.integration.inventory_service import Inventory, open_inventory
from tests.stack import TestStack
from tests.unit.inventory_world import POOL, reserve, sale, void

pytestmark = pytest.mark.stack
HONEY, HERE, ELSEWHERE = "honey", {"sites": [POOL.partition("@")[2]]}, {"sites": ["elsewhere"]}
PIECES = LEAST["piece"]
CONFIRM = f"/pools/{POOL}/items/{HONEY}:confirm-sales"


@pytest.fixture
async def inventory(stack: TestStack) -> AsyncIterator[Inventory]:
    async with open_inventory(stack) as world:
        yield world


async def promised(inventory: Inventory, *quantities: int) -> list[UUID]:
    """Firm reservations of all the honey that there is, oldest first."""
    await inventory.stocked(HONEY, sum(quantities))
    reservations = [uuid4() for _ in quantities]
    for reservation, quantity in zip(reservations, quantities, strict=True):
        await inventory.hear(reserve(reservation, (HONEY, quantity)))
    return reservations


async def named(inventory: Inventory) -> list[tuple[int, int, list[UUID]]]:
    return [(e.shortfall, e.waiting, e.reservations) for e in await inventory.published(ClaimsExceeded)]


async def in_doubt(inventory: Inventory) -> dict[str, int]:
    found = await inventory.get("/v1/stock", params={"in_doubt": "true"})
    return {row["item"]: row["doubted"] for row in found["stock"]}


async def test_a_stolen_terminal_empties_no_market(inventory: Inventory) -> None:
    old, middle, new = await promised(inventory, 500, 300, PIECES)
    sold, size = uuid4(), 1_000_000
    await inventory.hear(sale(sold, "t1", (HONEY, size)))
    assert sum(move.quantity for move in await inventory.published(StockMoved) if move.to_place == "sold") == size
    assert await named(inventory) == [(size, size - PIECES, [new])]
    assert await in_doubt(inventory) == {HONEY: size - PIECES}
    await inventory.adds_up()

    callers = Callers(SERVICE, inventory.context)
    assert (await callers.call("staff.desk", "POST", CONFIRM, **ELSEWHERE))[0] == 404
    assert (await callers.call("terminal.t1", "POST", CONFIRM, **HERE))[0] == 403
    assert len(await named(inventory)) == 1
    status, confirmed = await callers.call("staff.desk", "POST", CONFIRM, **HERE)
    assert (status, confirmed["confirmed"], confirmed["shortfall"]) == (200, size - PIECES, size)
    assert (await named(inventory))[1] == (size, 0, [new, middle, old])
    again = await callers.call("staff.desk", "POST", CONFIRM, **HERE)
    assert (again[0], again[1]["confirmed"], len(await named(inventory))) == (200, 0, 2)
    assert await in_doubt(inventory) == {}
    acts = await inventory.context.pool.fetch("select distinct subject from access_log where action = 'confirm-sales'")
    assert [row["subject"] for row in acts] == ["staff.desk"]
    await inventory.hear(sale(uuid4(), "t1", (HONEY, 1)))
    assert await in_doubt(inventory) == {HONEY: 1}, "what comes after the confirmation is in doubt again"


async def test_a_mistyped_sale_is_voided_and_no_order_has_failed(inventory: Inventory) -> None:
    await promised(inventory, 500)
    await inventory.stocked(HONEY, PIECES)
    wrong, size = uuid4(), 10 * PIECES
    await inventory.hear(sale(uuid4(), "t1", (HONEY, PIECES)))
    assert (await named(inventory), await in_doubt(inventory)) == ([], {})
    await inventory.hear(sale(wrong, "t1", (HONEY, size)))
    assert await named(inventory) == [(size, size, [])]
    await inventory.hear(void(wrong, "t1", (HONEY, size)))
    assert await in_doubt(inventory) == {}
    assert (await inventory.figures(HONEY))[0] == 500
    waste: dict[str, Any] = {"pool": POOL, "item": HONEY, "quantity": 5, "reason": "spoiled"}
    assert (await inventory.post("/v1/waste", waste)).status_code == 201
    assert [(shortfall, waiting) for shortfall, waiting, _ in await named(inventory)] == [(size, size), (5, 0)]


async def test_a_count_takes_the_shortfall_away(inventory: Inventory) -> None:
    await promised(inventory, 500)
    await inventory.stocked(HONEY, PIECES)
    await inventory.hear(sale(uuid4(), "t1", (HONEY, 10 * PIECES)))
    counted = {"pool": POOL, "item": HONEY, "counted": 500}
    assert (await inventory.post("/v1/counts", counted)).status_code == 201
    assert (await inventory.figures(HONEY))[5] == 0
    assert (await inventory.post(f"/v1{CONFIRM}")).status_code == 200
    assert [reservations for *_, reservations in await named(inventory)] == [[]]


async def test_what_was_lent_is_plausible_twice(inventory: Inventory) -> None:
    lent = 5 * PIECES
    await inventory.stocked(HONEY, lent)
    assert (await inventory.lend("t1", HONEY, lent)).status_code == 201
    await inventory.hear(sale(uuid4(), "t1", (HONEY, 2 * lent)))
    assert await in_doubt(inventory) == {}
    await inventory.hear(sale(uuid4(), "t1", (HONEY, 3)))
    assert await in_doubt(inventory) == {HONEY: 3}


async def test_weighed_goods_have_a_limit_of_their_own(inventory: Inventory) -> None:
    for quantity, doubted in ((LEAST["gram"], {}), (1, {"oil-tofu": 1})):
        await inventory.hear(sale(uuid4(), "t1", ("oil-tofu", quantity)))
        assert await in_doubt(inventory) == doubted
