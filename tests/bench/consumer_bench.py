"""Consumers: the way to a handler, stock reserved from a topic, and how a service catches up."""

from __future__ import annotations

import asyncio
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

import orjson

from tests.bench import client, events, log, market
from tests.bench.halfday_variant import Ours, service_environment
from tests.bench.market import Wish
from tests.bench.orders_bench import announce, reservations, settled
from tests.bench.peers import aiokafka_consumer
from tests.bench.peers.wire import OrderPlaced, Wanted
from tests.bench.runs import Effort, Figures, take_turns
from tests.bench.score import Line, Rule, line
from tests.bench.shops import Shop, TwoServices
from tests.bench.world import Child, World

LIVE = 50


class Reader:
    """A program that reads one topic of orders from its start and says how long that took."""

    def __init__(self, world: World, name: str, arguments: list[str], topic: str, told: dict[str, str]) -> None:
        self.world, self.name, self.arguments, self.topic, self.told = world, name, arguments, topic, told

    async def run(self, count: int) -> tuple[float, int]:
        """Seconds, and the sum over all orders that it made."""
        told = self.told | {"COUNT": str(count), "GROUP": f"orders.{secrets.token_hex(4)}"}
        child = await self.world.start(self.arguments, 0, told, ready=False)
        assert await asyncio.wait_for(child.process.wait(), 90) == 0, child.log.read_text()[-2000:]
        said = orjson.loads(child.log.read_text().splitlines()[-1])
        return said["seconds"], said["total"]


async def consumer(world: World, effort: Effort) -> list[Line]:
    """Records a second through the kit's subscriber to a handler, beside aiokafka and pydantic by hand."""
    prefix, count = f"read{secrets.token_hex(2)}.", effort.of(60_000)
    world.stack.topics(prefix)
    topic = f"{prefix}orders.order.v1"
    wishes = market.wishes(count, 1)
    log.fill(world.stack, topic, events.records(map(events.placed, wishes)))
    told = service_environment(world, "orders", await world.stack.database("orders"), prefix, "")
    told |= {"HALFDAY_KAFKA_USERNAME": "admin", "HALFDAY_KAFKA_PASSWORD": world.stack.users["admin"]}
    readers = [
        Reader(world, "ours", ["tests.bench.isolate", "consumer"], topic, told),
        Reader(world, "aiokafka", [aiokafka_consumer.__name__], topic, world.kafka() | {"TOPIC": topic}),
    ]
    total = sum(market.PRICE_FEN * sum(wish.lines.values()) for wish in wishes)
    wrong: list[str] = []

    async def measure(reader: Reader, _n: int) -> Figures:
        seconds, said = await reader.run(count)
        if said != total:
            wrong.append(f"{reader.name} made {said} of {total}")
        return {"rate": count / seconds}

    found = await take_turns(readers, effort.runs, measure)
    ours, peer = found.of("ours", "rate"), found.of("aiokafka", "rate")
    rule = Rule.RATIO_AT_LEAST
    return [line("consumer", "no database", "msgs/s", ours, peer, "aiokafka + pydantic", rule, 0.5, wrong)]


class Asked(ABC):
    """A shop whose inventory is asked over its topic, without an order behind it."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.name, self.world, self.asked = shop, shop.name, shop.world, 0

    @abstractmethod
    def ask(self, wishes: Sequence[Wish]) -> None:
        """Puts the orders on the topic that inventory reads."""

    @abstractmethod
    async def done(self) -> int:
        """How many reservations there are."""

    @abstractmethod
    async def told(self) -> bool:
        """Whether every answer has been published."""

    @abstractmethod
    async def restart(self) -> Child:
        """Starts inventory anew."""

    async def all_done(self, patience: float = 120) -> None:
        end = time.monotonic() + patience
        while (await self.done() < self.asked or not await self.told()) and time.monotonic() < end:
            await asyncio.sleep(0.02)

    async def faults(self) -> list[str]:
        done = int(await self.shop.stock.fetchval("select count(*) from reservation"))
        found = [f"{done} reservations of {self.asked} asked for"] * (done != self.asked)
        return found + await self.shop.faults(())


_TOLD = "select id from outbox order by id limit 1"


class AskedOurs(Asked):
    shop: Ours

    def ask(self, wishes: Sequence[Wish]) -> None:
        topic = f"{self.shop.prefix}inventory.command.v1"
        self.asked += log.fill(self.shop.world.stack, topic, events.records(map(events.asked, wishes)))

    async def done(self) -> int:
        # The number of the last one, though it may not be committed: counting fifty thousand again and again would be a
        # load of its own.
        statement = "select case when is_called then last_value else 0 end from reservation_no_seq"
        given = int(await self.shop.stock.fetchval(statement))
        return given if given < self.asked else int(await self.shop.stock.fetchval("select count(*) from reservation"))

    async def told(self) -> bool:
        return await self.shop.stock.fetchval(_TOLD) is None

    async def restart(self) -> Child:
        return await self.shop.run("inventory.worker")


class AskedTypical(Asked):
    shop: TwoServices

    def ask(self, wishes: Sequence[Wish]) -> None:
        records = [
            (str(wish.id), _event(wish).model_dump_json().encode(), [("content-type", b"application/json")])
            for wish in wishes
        ]
        self.asked += log.fill(self.shop.world.stack, f"{self.shop.prefix}orders", records)

    async def done(self) -> int:
        return int(await self.shop.stock.fetchval("select count(*) from reservation"))

    async def told(self) -> bool:
        return await self.shop.stock.fetchval(_TOLD) is None

    async def restart(self) -> Child:
        return await self.shop.start_inventory()


def _event(wish: Wish) -> OrderPlaced:
    return OrderPlaced(
        event_id=wish.id,
        order_id=wish.id,
        pool=wish.pool,
        community=wish.pool.partition("@")[2],
        channel="app",
        total_fen=market.PRICE_FEN * sum(wish.lines.values()),
        lines=[Wanted(item=item, quantity=quantity) for item, quantity in sorted(wish.lines.items())],
    )


async def reserve(world: World, effort: Effort) -> list[Line]:
    """Commands a second from the topic until the answers are published: inbox, stock, reservations, outbox, relay."""
    ours, typical = Ours(world), TwoServices(world)
    await ours.prepare(0)
    ours.children.append(await ours.run("inventory.worker"))
    await typical.open(0)
    both: list[Asked] = [AskedOurs(ours), AskedTypical(typical)]

    async def measure(one: Asked, n: int) -> Figures:
        count = effort.of(8_000 if one.name == "ours" else 600)
        wishes = market.wishes(count, n)
        began = time.perf_counter()
        await asyncio.to_thread(one.ask, wishes)
        await one.all_done()
        return {"rate": count / (time.perf_counter() - began)}

    found = await take_turns(both, effort.runs, measure)
    for one in both:
        found.faults[one.name] = await one.faults()
        print(*found.faults[one.name], sep="\n", end="", flush=True)
        await one.shop.close()
    rates, peer = found.of("ours", "rate"), found.of("typical", "rate")
    rule, faults = Rule.RATIO_AT_LEAST, found.faults["ours"]
    return [line("reserve", "command to answer", "msgs/s", rates, peer, "typical", rule, 20, faults)]


async def catch_up(world: World, effort: Effort) -> list[Line]:
    """Inventory was away while commands came in; it catches up while people order, and then they wait no longer."""
    both: list[Asked] = [AskedOurs(Ours(world)), AskedTypical(TwoServices(world))]
    rates: dict[str, list[float]] = {one.name: [] for one in both}
    waits: dict[str, list[float]] = {"before": [], "after": []}
    for one in both:
        await one.shop.open(0)
    await announce(both[0].shop)
    for n in range(effort.runs):
        for one in both:
            mine = one.name == "ours"
            if mine:
                waits["before"].append(await _live(one, n))
            rates[one.name].append(await _caught_up(one, effort.of(50_000 if mine else 1_500), n))
            if mine:
                await asyncio.sleep(10)
                waits["after"].append(await _live(one, n))
    faults = {one.name: await one.faults() for one in both}
    print(*(fault for found in faults.values() for fault in found), sep="\n", end="", flush=True)
    for one in both:
        await one.shop.close()
    what, wrong = f"{effort.of(50_000)} waiting, {LIVE}/s live", faults["ours"]
    at_least, at_most = Rule.RATIO_AT_LEAST, Rule.RATIO_AT_MOST
    return [
        line("catch-up", what, "msgs/s", rates["ours"], rates["typical"], "typical", at_least, 20, wrong),
        line(
            "catch-up",
            "live, 10 s after",
            "ms, p99",
            waits["after"],
            waits["before"],
            "ours before",
            at_most,
            1.5,
            wrong,
        ),
    ]


async def _live(one: Asked, n: int) -> float:
    """How long an order waits for its reservation while nothing else goes on: the 99th percentile, in ms."""
    wishes = market.wishes(LIVE * 4, n)
    one.asked += len(wishes)
    return client.quantile(await reservations(one.shop, wishes, LIVE), 0.99)


async def _caught_up(one: Asked, count: int, n: int) -> float:
    """Stops inventory, lets so many commands pile up, starts it; how many it did a second from its first one on."""
    await one.shop.children[-1].stop()
    await asyncio.to_thread(one.ask, market.wishes(count, n))
    goal, ordering = one.asked, asyncio.Event()
    live = asyncio.create_task(_order_until(ordering, one))
    before = await one.done()
    one.shop.children.append(await one.restart())
    while (first := await one.done()) == before:
        await asyncio.sleep(0.02)
    began = time.perf_counter()
    while (done := await one.done()) < goal:
        await asyncio.sleep(0.02)
    rate = (done - first) / (time.perf_counter() - began)
    ordering.set()
    await live
    await one.all_done()
    await settled(one.shop)
    return rate


async def _order_until(stop: asyncio.Event, one: Asked) -> None:
    while not stop.is_set():
        wishes = market.wishes(LIVE // 2, 0)
        load, _ = await client.paced(one.shop.port, [one.shop.post(wish) for wish in wishes], LIVE)
        assert set(load.statuses) == {201}, load.statuses
        one.asked += len(wishes)
