"""Goods that a fact took from a campaign's reservation are not granted to the campaign's last orders."""

from __future__ import annotations

from contracts.events.inventory import ClaimsExceeded, ReservationReleased, StockRefused, StockReserved
from tests.unit.inventory_world import World, name, of, release, reserve

TOFU = "oil-tofu"
CAMPAIGN, FIRST, SECOND = name("campaign"), name("first"), name("second")


def test_a_shortfall_under_a_campaign_falls_on_its_last_orders_and_ends_with_its_rest() -> None:
    world = World()
    world.receive(name("lot"), TOFU, 10)
    world.send(reserve(CAMPAIGN, (TOFU, 10), mode="partial"))
    world.waste(TOFU, 3)
    assert [found.shortfall for found in of(ClaimsExceeded, world.unit.published)] == [3]
    assert of(StockReserved, world.send(reserve(FIRST, (TOFU, 6), source=CAMPAIGN)))
    (refused,) = of(StockRefused, world.send(reserve(SECOND, (TOFU, 4), source=CAMPAIGN)))
    assert [line.available for line in refused.short] == [1]
    (rest,) = of(ReservationReleased, world.send(release(CAMPAIGN)))
    assert rest.quantity == 4
    assert world.figures(TOFU) == (7, 0, 6, 0, 0, 0, 1)


def test_a_shortfall_larger_than_the_rest_leaves_nothing_to_hand_on() -> None:
    world = World()
    world.receive(name("lot"), TOFU, 10)
    world.send(reserve(FIRST, (TOFU, 8)))
    world.send(reserve(CAMPAIGN, (TOFU, 2), mode="partial"))
    world.waste(TOFU, 5)
    (refused,) = of(StockRefused, world.send(reserve(SECOND, (TOFU, 1), source=CAMPAIGN, mode="partial")))
    assert [line.available for line in refused.short] == [0]
