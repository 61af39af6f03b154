"""Consumer benchmarks: the path to a handler, stock reserved from a topic, and catching up after an outage."""

from __future__ import annotations

import asyncio
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

import orjson

from tests.bench import client, events, log, market
from tests.bench.halfday_variant import HalfdayVariant, service_environment
from tests.bench.market import SampleOrder
from tests.bench.orders_bench import notify_on_reservation, reservations, settled
from tests.bench.peers import aiokafka_consumer
from tests.bench.peers.wire import OrderPlaced, Wanted
from tests.bench.runs import Effort, Figures, take_turns
from tests.bench.score import Line, Rule, line
from tests.bench.shops import Shop, TwoServices
from tests.bench.world import Child, World

LIVE = 50


class Reader:
    """A program that reads one topic of orders from its start and reports the time it took."""

    def __init__(self, world: World, name: str, arguments: list[str], topic: str, environment: dict[str, str]) -> None:
        self.world, self.name, self.arguments, self.topic, self.environment = world, name, arguments, topic, environment

    async def run(self, count: int) -> tuple[float, int]:
        """Return the seconds, and the sum of all totals that it computed."""
        environment = self.environment | {"COUNT": str(count), "GROUP": f"orders.{secrets.token_hex(4)}"}
        child = await self.world.start(self.arguments, 0, environment, ready=False)
        assert await asyncio.wait_for(child.process.wait(), 90) == 0, child.log.read_text()[-2000:]
        summary = orjson.loads(child.log.read_text().splitlines()[-1])
        return summary["seconds"], summary["total"]


async def consumer(world: World, effort: Effort) -> list[Line]:
    """Measure records a second through the kit's subscriber to a handler, beside aiokafka and pydantic by hand."""
    prefix, count = f"read{secrets.token_hex(2)}.", effort.of(60_000)
    world.stack.topics(prefix)
    topic = f"{prefix}orders.order.v1"
    sample_orders = market.sample_orders(count, 1)
    log.fill(world.stack, topic, events.records(map(events.placed, sample_orders)))
    environment = service_environment(world, "orders", await world.stack.database("orders"), prefix, "")
    environment |= {"HALFDAY_KAFKA_USERNAME": "admin", "HALFDAY_KAFKA_PASSWORD": world.stack.users["admin"]}
    readers = [
        Reader(world, "halfday", ["tests.bench.isolate", "consumer"], topic, environment),
        Reader(world, "aiokafka", [aiokafka_consumer.__name__], topic, world.kafka() | {"TOPIC": topic}),
    ]
    expected = sum(market.PRICE_FEN * sum(order.lines.values()) for order in sample_orders)
    violations: list[str] = []

    async def measure(reader: Reader, _n: int) -> Figures:
        seconds, total = await reader.run(count)
        if total != expected:
            violations.append(f"{reader.name} computed the total {total}, expected {expected}")
        return {"rate": count / seconds}

    found = await take_turns(readers, effort.runs, measure)
    halfday, peer = found.of("halfday", "rate"), found.of("aiokafka", "rate")
    rule = Rule.RATIO_AT_LEAST
    return [line("consumer", "no database", "msgs/s", halfday, peer, "aiokafka + pydantic", rule, 0.5, violations)]


class ReservationLoad(ABC):
    """A shop with requests sent directly to inventory's topic, without orders behind them."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.name, self.world, self.requested = shop, shop.name, shop.world, 0

    @abstractmethod
    def request(self, sample_orders: Sequence[SampleOrder]) -> None:
        """Write the orders' requests to the topic that inventory reads."""

    @abstractmethod
    async def done(self) -> int:
        """Return the number of reservations."""

    @abstractmethod
    async def all_published(self) -> bool:
        """Return True if every answer has been published."""

    @abstractmethod
    async def restart(self) -> Child:
        """Start inventory again."""

    async def all_done(self, timeout_s: float = 120) -> None:
        end = time.monotonic() + timeout_s
        while (await self.done() < self.requested or not await self.all_published()) and time.monotonic() < end:
            await asyncio.sleep(0.02)

    async def violations(self) -> list[str]:
        done = int(await self.shop.stock.fetchval("select count(*) from reservation"))
        found = [f"{done} of {self.requested} requested reservations"] * (done != self.requested)
        return found + await self.shop.violations(())


_UNPUBLISHED = "select id from outbox order by id limit 1"


class HalfdayReservations(ReservationLoad):
    shop: HalfdayVariant

    def request(self, sample_orders: Sequence[SampleOrder]) -> None:
        topic = f"{self.shop.prefix}inventory.command.v1"
        self.requested += log.fill(
            self.shop.world.stack, topic, events.records(map(events.reserve_command, sample_orders))
        )

    async def done(self) -> int:
        # The number of the last one, though it may not be committed: counting fifty thousand again and again would be a
        # load of its own.
        statement = "select case when is_called then last_value else 0 end from reservation_no_seq"
        given = int(await self.shop.stock.fetchval(statement))
        return (
            given if given < self.requested else int(await self.shop.stock.fetchval("select count(*) from reservation"))
        )

    async def all_published(self) -> bool:
        return await self.shop.stock.fetchval(_UNPUBLISHED) is None

    async def restart(self) -> Child:
        return await self.shop.run("inventory.worker")


class TypicalReservations(ReservationLoad):
    shop: TwoServices

    def request(self, sample_orders: Sequence[SampleOrder]) -> None:
        records = [
            (str(order.id), _event(order).model_dump_json().encode(), [("content-type", b"application/json")])
            for order in sample_orders
        ]
        self.requested += log.fill(self.shop.world.stack, f"{self.shop.prefix}orders", records)

    async def done(self) -> int:
        return int(await self.shop.stock.fetchval("select count(*) from reservation"))

    async def all_published(self) -> bool:
        return await self.shop.stock.fetchval(_UNPUBLISHED) is None

    async def restart(self) -> Child:
        return await self.shop.start_inventory()


def _event(order: SampleOrder) -> OrderPlaced:
    return OrderPlaced(
        event_id=order.id,
        order_id=order.id,
        pool=order.pool,
        community=order.pool.partition("@")[2],
        channel="app",
        total_fen=market.PRICE_FEN * sum(order.lines.values()),
        lines=[Wanted(item=item, quantity=quantity) for item, quantity in sorted(order.lines.items())],
    )


async def reserve(world: World, effort: Effort) -> list[Line]:
    """Measure commands a second from the topic until the answers are published: inbox, stock, reservations, outbox,
    relay.
    """
    halfday, typical = HalfdayVariant(world), TwoServices(world)
    await halfday.prepare(0)
    halfday.children.append(await halfday.run("inventory.worker"))
    await typical.open(0)
    both: list[ReservationLoad] = [HalfdayReservations(halfday), TypicalReservations(typical)]

    async def measure(one: ReservationLoad, n: int) -> Figures:
        count = effort.of(8_000 if one.name == "halfday" else 600)
        sample_orders = market.sample_orders(count, n)
        began = time.perf_counter()
        await asyncio.to_thread(one.request, sample_orders)
        await one.all_done()
        return {"rate": count / (time.perf_counter() - began)}

    found = await take_turns(both, effort.runs, measure)
    for one in both:
        found.violations[one.name] = await one.violations()
        print(*found.violations[one.name], sep="\n", end="", flush=True)
        await one.shop.close()
    rates, peer = found.of("halfday", "rate"), found.of("typical", "rate")
    rule, violations = Rule.RATIO_AT_LEAST, found.violations["halfday"]
    return [line("reserve", "command to answer", "msgs/s", rates, peer, "typical", rule, 20, violations)]


async def catch_up(world: World, effort: Effort) -> list[Line]:
    """Measure how fast inventory catches up after an outage with live orders, and the latency of orders 10 s later."""
    both: list[ReservationLoad] = [HalfdayReservations(HalfdayVariant(world)), TypicalReservations(TwoServices(world))]
    rates: dict[str, list[float]] = {one.name: [] for one in both}
    waits: dict[str, list[float]] = {"before": [], "after": []}
    for one in both:
        await one.shop.open(0)
    await notify_on_reservation(both[0].shop)
    for n in range(effort.runs):
        for one in both:
            mine = one.name == "halfday"
            if mine:
                waits["before"].append(await _live(one, n))
            rates[one.name].append(await _caught_up(one, effort.of(50_000 if mine else 1_500), n))
            if mine:
                await asyncio.sleep(10)
                waits["after"].append(await _live(one, n))
    found = {one.name: await one.violations() for one in both}
    print(*(violation for of_one in found.values() for violation in of_one), sep="\n", end="", flush=True)
    for one in both:
        await one.shop.close()
    what, bad = f"{effort.of(50_000)} waiting, {LIVE}/s live", found["halfday"]
    at_least, at_most = Rule.RATIO_AT_LEAST, Rule.RATIO_AT_MOST
    later, before = waits["after"], waits["before"]
    return [
        line("catch-up", what, "msgs/s", rates["halfday"], rates["typical"], "typical", at_least, 20, bad),
        line("catch-up", "live, 10 s after", "ms, p99", later, before, "ours before", at_most, 1.5, bad),
    ]


async def _live(one: ReservationLoad, n: int) -> float:
    """Return the 99th percentile of the time until an order is reserved without other load, in ms."""
    sample_orders = market.sample_orders(LIVE * 4, n)
    one.requested += len(sample_orders)
    return client.quantile(await reservations(one.shop, sample_orders, LIVE), 0.99)


async def _caught_up(one: ReservationLoad, count: int, n: int) -> float:
    """Stop inventory, let so many commands pile up, start it; return its rate a second from the first one on."""
    await one.shop.children[-1].stop()
    await asyncio.to_thread(one.request, market.sample_orders(count, n))
    goal, ordering = one.requested, asyncio.Event()
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


async def _order_until(stop: asyncio.Event, one: ReservationLoad) -> None:
    while not stop.is_set():
        sample_orders = market.sample_orders(LIVE // 2, 0)
        load, _ = await client.paced(one.shop.port, [one.shop.post(order) for order in sample_orders], LIVE)
        assert set(load.statuses) == {201}, load.statuses
        one.requested += len(sample_orders)
