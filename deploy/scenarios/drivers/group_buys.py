"""Group-buys: a leader opens one, neighbours join or are on the leader's list, and formed ones are fetched."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import call
from deploy.scenarios.actors.group_buys import Leader, Member
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
    leader = Leader(world.api, buy.id, world.day.market_day, buy.terms.community)
    await world.pace.until(buy.terms.opens)
    await _open(world, buy, leader)
    async with asyncio.TaskGroup() as group:
        group.create_task(_list(world, buy, leader))
        for pledge in buy.pledges:
            if not pledge.in_list:
                group.create_task(_join(world, buy, pledge))
    await world.pace.until(buy.terms.closes)
    while not await leader.settled():
        await world.pace.pause(LOOK_EVERY)
    world.tally.did(SETTLED)
    orders = [UUID(order) for order in await leader.orders()]
    async with asyncio.TaskGroup() as group:
        group.create_task(points.set_out(world, orders))
        for order, pledge in zip(orders, buy.pledges, strict=False):  # who of them is served is left to the race
            group.create_task(_fetch(world, order, pledge.fetches_at))


async def _open(world: World, buy: GroupBuy, leader: Leader) -> None:
    terms, scenario = buy.terms, world.day.scenario
    # Enough for its threshold too, which some group-buys miss on purpose.
    wanted = terms.threshold.at_least if terms.threshold.of == "people" else 0
    cap = goods_of(scenario.good(terms.item), buy.line.quantity * max(len(buy.pledges), wanted))
    await leader.open(world.pace.at(terms.closes), [cap], terms.threshold.model_dump(), terms.shortfall)


def _pledge(world: World, buy: GroupBuy, pledge: Pledge) -> dict[str, Any]:
    lines = [goods_of(world.day.scenario.good(buy.line.item), buy.line.quantity)]
    where, who = requests.pickup(point_of(buy.terms.community)), {"name": pledge.name, "phone": pledge.phone}
    return requests.pledge(lines, where, pledge.payment, who)


async def _join(world: World, buy: GroupBuy, pledge: Pledge) -> None:
    """A single join, which may be withdrawn later."""
    member = Member(world.api, buy.id, pledge.id, _pledge(world, buy, pledge))
    await world.pace.until(pledge.at)
    await member.join()
    world.tally.did(PLEDGES)
    if pledge.withdraws_at is not None:
        await world.pace.until(pledge.withdraws_at)
        await member.withdraw()


async def _list(world: World, buy: GroupBuy, leader: Leader) -> None:
    """The chat's numbered list, sent when half of it is there, and as a whole when it is complete."""
    pledges = [pledge for pledge in buy.pledges if pledge.in_list]
    entries = [_pledge(world, buy, pledge) for pledge in pledges]
    times, half = sorted(pledge.at for pledge in pledges), len(entries) // 2
    for at, sent in ((times[half - 1], entries[:half]), (times[-1], entries)):
        await world.pace.until(at)
        await leader.send_list(f"{buy.terms.community}-chat", sent)
    world.tally.did(PLEDGES, len(entries))
    world.tally.absorbed["joins sent twice"] += half


async def _fetch(world: World, order: UUID, at: float) -> None:
    world.codes[order] = (await call(world.api, requests.read_order(order)))["code"]
    await points.fetch(world, order, at)
