"""Buyers and leaders of chat groups: place orders, pay or not, cancel, and check their state."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import Any

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.buyers import ENDED, Buyer, place_list
from deploy.scenarios.actors.client import BrokenPromise, Refused, call
from deploy.scenarios.drivers.catalogue import goods_of, point_of
from deploy.scenarios.drivers.world import World
from deploy.scenarios.schedule import Fate, Order

ORDERS, PAYMENTS, CANCELS = "orders", "payments", "cancels"
# Business minutes between two reads of an order.
LOOK_FIRST, LOOK_MOST = 8.0, 40.0


async def live(world: World) -> None:
    """Place every order of the day; return when each is placed, and paid or cancelled if its buyer does that."""
    orders = world.day.orders
    world.tally.plan(ORDERS, len(orders))
    world.tally.plan(PAYMENTS, sum(order.pays_at is not None for order in orders))
    world.tally.plan(CANCELS, sum(order.cancels_at is not None for order in orders))
    await world.stocked.wait()
    async with asyncio.TaskGroup() as people:
        for order in orders:
            if not order.in_list:
                people.create_task(_alone(world, order))
        listed = sorted((o for o in orders if o.in_list), key=lambda o: (o.at, o.community, o.id))
        for (at, _), group in groupby(listed, key=lambda o: (o.at, o.community)):
            people.create_task(_list(world, at, list(group)))


async def _alone(world: World, order: Order) -> None:
    await world.pace.until(order.at)
    buyer = await _place(world, order)
    if order.twice:
        await buyer.place()
        world.tally.absorbed["orders sent twice"] += 1
    world.codes[order.id] = buyer.code
    world.tally.did(ORDERS)
    await _after(world, order, buyer)


async def _place(world: World, order: Order) -> Buyer:
    """Return the buyer with the accepted order. An expired promise is requested again."""
    while True:
        buyer = Buyer(world.api, await _body(world, order))
        try:
            await buyer.place()
        except Refused as refusal:
            if refusal.code != "quote-expired":
                raise
        else:
            return buyer


async def _list(world: World, at: float, orders: list[Order]) -> None:
    """Send a chat's list in one batch. A part of it is sent twice, as after a lost response."""
    await world.pace.until(at)
    buyers = [Buyer(world.api, await _body(world, order)) for order in orders]
    sent_again = buyers[: len(buyers) // 3]
    for part in (buyers, sent_again):
        if refused := await place_list(world.api, part):
            raise BrokenPromise(f"a leader's list was not accepted completely: {refused[0]}")
    world.codes |= {order.id: buyer.code for order, buyer in zip(orders, buyers, strict=True)}
    world.tally.absorbed["orders sent twice"] += len(sent_again)
    world.tally.did(ORDERS, len(orders))
    await asyncio.gather(*(_after(world, order, buyer) for order, buyer in zip(orders, buyers, strict=True)))


async def _body(world: World, order: Order) -> dict[str, Any]:
    return requests.order(
        order.id,
        order.channel,
        world.day.market_day,
        order.community,
        [goods_of(world.day.scenario.good(line.item), line.quantity) for line in order.lines],
        await _fulfilment(world, order),
        order.payment,
        {"name": order.name, "phone": order.phone},
    )


async def _fulfilment(world: World, order: Order) -> dict[str, Any]:
    if order.address is None:
        return requests.pickup(point_of(order.community))
    quote = None
    if order.asks_quote:
        quote = await call(world.api, requests.promise(order.community, world.day.market_day))
    return requests.delivery(order.address.text, order.address.lat, order.address.lon, quote)


async def _after(world: World, order: Order, buyer: Buyer) -> None:
    """The buyer's actions after the order is placed."""
    if order.cancels_at is not None:
        await world.pace.until(order.cancels_at)
        await buyer.cancel()  # it may be loaded or ended: the order says so
        await _look(world, buyer, ENDED)
        world.tally.did(CANCELS)
    elif order.pays_at is not None:
        await world.pace.until(order.pays_at)
        if order.fate in {Fate.PAYS_LATE, Fate.PAYS_TOO_LATE}:
            await _look(world, buyer, ENDED)
        await buyer.pay()
        world.tally.did(PAYMENTS)
    world.settle(order)


async def _look(world: World, buyer: Buyer, until: frozenset[str]) -> None:
    """Read the order now and then, less often the longer it takes."""
    wait = LOOK_FIRST
    await world.pace.pause(wait)
    while (await buyer.read())["state"] not in until:
        wait = min(wait * 1.5, LOOK_MOST)
        await world.pace.pause(wait)
