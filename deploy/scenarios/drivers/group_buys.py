"""Group-buys: a leader opens one, neighbours join or are on the leader's list, and formed ones are fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import BrokenPromise, Request, call
from deploy.scenarios.drivers import points
from deploy.scenarios.drivers.catalogue import goods_of, point_of
from deploy.scenarios.drivers.world import World
from deploy.scenarios.schedule import GroupBuy, Pledge

PLEDGES, SETTLED = "pledges", "group-buys settled"
# Business minutes between a leader's reads of a group-buy that is cut.
LOOK_EVERY = 12.0


async def run(world: World) -> None:
    """Return when every group-buy is settled, and all its orders are fetched."""
    world.tally.plan(PLEDGES, sum(len(buy.pledges) for buy in world.day.group_buys))
    world.tally.plan(SETTLED, len(world.day.group_buys))
    await world.stocked.wait()
    async with asyncio.TaskGroup() as groups:
        for buy in world.day.group_buys:
            groups.create_task(_live(world, buy))


async def _live(world: World, buy: GroupBuy) -> None:
    await world.pace.until(buy.terms.opens)
    await call(world.api, _opening(world, buy))
    async with asyncio.TaskGroup() as group:
        group.create_task(_list(world, buy, [pledge for pledge in buy.pledges if pledge.in_list]))
        for pledge in buy.pledges:
            if not pledge.in_list:
                group.create_task(_join(world, buy, pledge))
    orders = await _settled(world, buy)
    world.tally.did(SETTLED)
    async with asyncio.TaskGroup() as group:
        group.create_task(points.set_out(world, orders))
        for order, pledge in zip(orders, buy.pledges, strict=False):  # who of them is served is left to the race
            group.create_task(_fetch(world, order, pledge.fetches_at))


def _opening(world: World, buy: GroupBuy) -> Request:
    terms, scenario = buy.terms, world.day.scenario
    # Enough for its threshold too, which some group-buys miss on purpose.
    wanted = terms.threshold.at_least if terms.threshold.of == "people" else 0
    cap = goods_of(scenario.good(terms.item), buy.line.quantity * max(len(buy.pledges), wanted))
    closes, threshold = world.pace.at(terms.closes), terms.threshold.model_dump()
    return requests.open_campaign(
        buy.id, world.day.market_day, terms.community, closes, [cap], threshold, terms.shortfall
    )


def _pledge(world: World, buy: GroupBuy, pledge: Pledge) -> dict[str, Any]:
    lines = [goods_of(world.day.scenario.good(buy.line.item), buy.line.quantity)]
    where, who = requests.pickup(point_of(buy.terms.community)), {"name": pledge.name, "phone": pledge.phone}
    return requests.pledge(lines, where, pledge.payment, who)


async def _join(world: World, buy: GroupBuy, pledge: Pledge) -> None:
    """A single join, which may be withdrawn later."""
    await world.pace.until(pledge.at)
    await call(world.api, requests.join(buy.id, pledge.id, _pledge(world, buy, pledge)))
    world.tally.did(PLEDGES)
    if pledge.withdraws_at is not None:
        await world.pace.until(pledge.withdraws_at)
        await call(world.api, requests.withdraw(buy.id, pledge.id))


async def _list(world: World, buy: GroupBuy, pledges: Sequence[Pledge]) -> None:
    """The chat's numbered list, sent when half of it is there, and as a whole when it is complete."""
    entries = [_pledge(world, buy, pledge) for pledge in pledges]
    times, half = sorted(pledge.at for pledge in pledges), len(entries) // 2
    for at, sent in ((times[half - 1], entries[:half]), (times[-1], entries)):
        await world.pace.until(at)
        chat = requests.send_list(buy.id, f"{buy.terms.community}-chat", sent)
        answers = (await call(world.api, chat))["answers"]
        if refused := [answer for answer in answers if answer["status"] != 201]:
            raise BrokenPromise(f"a list of group-buy {buy.terms.id} was not accepted completely: {refused[0]}")
    world.tally.did(PLEDGES, len(entries))
    world.tally.absorbed["joins sent twice"] += half


async def _settled(world: World, buy: GroupBuy) -> list[UUID]:
    """Return the group-buy's orders, in the order of their joins."""
    await world.pace.until(buy.terms.closes)
    while not (await call(world.api, requests.read_campaign(buy.id)))["settled"]:
        await world.pace.pause(LOOK_EVERY)
    joins = (await call(world.api, requests.read_joins(buy.id)))["items"]
    return [UUID(join["order_id"]) for join in joins if join["order_id"]]


async def _fetch(world: World, order: UUID, at: float) -> None:
    world.codes[order] = (await world.order(order))["code"]
    await points.fetch(world, order, at)
