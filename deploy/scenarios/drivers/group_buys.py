"""Group-buys: a leader opens one, neighbours join or are on the leader's list, and formed ones are fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from deploy.scenarios.drivers import points
from deploy.scenarios.drivers.api import BrokenPromise
from deploy.scenarios.drivers.catalogue import amount, point_of
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
    await world.api.post("leader", "orders", "/v1/campaigns", _terms(world, buy))
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


def _terms(world: World, buy: GroupBuy) -> dict[str, Any]:
    terms, scenario = buy.terms, world.day.scenario
    # Enough for its threshold too, which some group-buys miss on purpose.
    wanted = terms.threshold.at_least if terms.threshold.of == "people" else 0
    cap = amount(scenario.good(terms.item), buy.line.quantity * max(len(buy.pledges), wanted))
    return {
        "campaign_id": str(buy.id),
        "market_day": world.day.market_day,
        "community": terms.community,
        "closes_at": world.pace.at(terms.closes).isoformat(),
        "goods": [{"item": terms.item, **cap}],
        "threshold": terms.threshold.model_dump(),
        "shortfall": terms.shortfall,
    }


def _pledge(world: World, buy: GroupBuy, pledge: Pledge) -> dict[str, Any]:
    good = world.day.scenario.good(buy.line.item)
    return {
        "recipient": {"name": pledge.name, "phone": pledge.phone},
        "lines": [{"item": good.id, **amount(good, buy.line.quantity)}],
        "fulfilment": {"kind": "pickup", "point": point_of(buy.terms.community)},
        "payment": pledge.payment,
    }


async def _join(world: World, buy: GroupBuy, pledge: Pledge) -> None:
    """A single join, which may be withdrawn later."""
    await world.pace.until(pledge.at)
    joins = f"/v1/campaigns/{buy.id}/joins"
    await world.api.post("buyer", "orders", joins, {"join_id": str(pledge.id), **_pledge(world, buy, pledge)})
    world.tally.did(PLEDGES)
    if pledge.withdraws_at is not None:
        await world.pace.until(pledge.withdraws_at)
        await world.api.post("buyer", "orders", f"{joins}/{pledge.id}:cancel")


async def _list(world: World, buy: GroupBuy, pledges: Sequence[Pledge]) -> None:
    """The chat's numbered list, sent when half of it is there, and as a whole when it is complete."""
    entries = [{"entry": n, **_pledge(world, buy, pledge)} for n, pledge in enumerate(pledges, 1)]
    times, half = sorted(pledge.at for pledge in pledges), len(entries) // 2
    for at, sent in ((times[half - 1], entries[:half]), (times[-1], entries)):
        await world.pace.until(at)
        body = {"chat": f"{buy.terms.community}-chat", "entries": sent}
        answers = (await world.api.post("leader", "orders", f"/v1/campaigns/{buy.id}/relay", body))["answers"]
        if refused := [answer for answer in answers if answer["status"] != 201]:
            raise BrokenPromise(f"a list of group-buy {buy.terms.id} was not accepted completely: {refused[0]}")
    world.tally.did(PLEDGES, len(entries))
    world.tally.absorbed["joins sent twice"] += half


async def _settled(world: World, buy: GroupBuy) -> list[UUID]:
    """Return the group-buy's orders, in the order of their joins."""
    page = f"/v1/campaigns/{buy.id}"
    await world.pace.until(buy.terms.closes)
    while not (await world.api.get("leader", "orders", page))["settled"]:
        await world.pace.pause(LOOK_EVERY)
    joins = (await world.api.get("leader", "orders", f"{page}/joins", limit=500))["items"]
    return [UUID(join["order_id"]) for join in joins if join["order_id"]]


async def _fetch(world: World, order: UUID, at: float) -> None:
    world.codes[order] = (await world.order(order))["code"]
    await points.fetch(world, order, at)
