"""Buyers and leaders of chat groups: place orders, pay or not, cancel, and check their state."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import Any

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import BrokenPromise, Refused, call
from deploy.scenarios.drivers.catalogue import goods_of, point_of
from deploy.scenarios.drivers.world import ENDED, World
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
    body, first = await _place(world, order)
    if order.twice:
        again = await call(world.api, requests.place(body))
        if again != first:
            raise BrokenPromise(f"order {order.id} sent twice got two answers")
        world.tally.absorbed["orders sent twice"] += 1
    world.codes[order.id] = first["code"]
    world.tally.did(ORDERS)
    await _after(world, order)


async def _place(world: World, order: Order) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the sent body and the response. An expired promise is requested again."""
    while True:
        body = await _body(world, order)
        try:
            return body, await call(world.api, requests.place(body))
        except Refused as refusal:
            if refusal.code != "quote-expired":
                raise


async def _list(world: World, at: float, orders: list[Order]) -> None:
    """Send a chat's list in one batch. A part of it is sent twice, as after a lost response."""
    await world.pace.until(at)
    bodies = [await _body(world, order) for order in orders]
    first: list[Any] = []
    for part in (bodies, bodies[: len(bodies) // 3]):
        answers = (await call(world.api, requests.place_batch(part)))["answers"]
        refused = [answer for answer in answers if answer["status"] != 201]
        first = first or answers
        if refused or answers != first[: len(part)]:
            raise BrokenPromise(f"a leader's list was not accepted completely and once: {refused[:1]}")
    world.codes |= {order.id: answer["order"]["code"] for order, answer in zip(orders, first, strict=True)}
    world.tally.absorbed["orders sent twice"] += len(bodies) // 3
    world.tally.did(ORDERS, len(orders))
    await asyncio.gather(*(_after(world, order) for order in orders))


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


async def _after(world: World, order: Order) -> None:
    """The buyer's actions after the order is placed."""
    if order.cancels_at is not None:
        await world.pace.until(order.cancels_at)
        await _cancel(world, order)
        await _look(world, order, ENDED)
        world.tally.did(CANCELS)
    elif order.pays_at is not None:
        await world.pace.until(order.pays_at)
        if order.fate in {Fate.PAYS_LATE, Fate.PAYS_TOO_LATE}:
            await _look(world, order, ENDED)
        await _pay(world, order)
    world.settle(order)


async def _cancel(world: World, order: Order) -> None:
    try:
        await call(world.api, requests.cancel(order.id))
    except Refused as refusal:
        if refusal.status != 409:  # loaded or ended: the response says so
            raise


async def _pay(world: World, order: Order) -> None:
    found = await world.order(order.id)
    await call(world.api, requests.pay(order.id, f"pay-{order.id}", found["total_fen"]))
    world.tally.did(PAYMENTS)


async def _look(world: World, order: Order, until: frozenset[str]) -> None:
    """Read the order now and then, less often the longer it takes."""
    wait = LOOK_FIRST
    await world.pace.pause(wait)
    while (await world.order(order.id))["state"] not in until:
        wait = min(wait * 1.5, LOOK_MOST)
        await world.pace.pause(wait)
