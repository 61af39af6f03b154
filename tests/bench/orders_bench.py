"""Order benchmarks as clients experience them: orders accepted and reserved a second, and the time to a reservation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from uuid import UUID

import orjson

from tests.bench import client, market
from tests.bench.client import Load
from tests.bench.halfday_variant import HalfdayVariant
from tests.bench.market import SampleOrder
from tests.bench.runs import Effort, Figures, Results, open_shops, take_turns
from tests.bench.score import Line, Rule, line
from tests.bench.shops import Monolith, Shop, TwoServices
from tests.bench.world import World

CREATED = 201
BATCH = 50


class Reconciliation:
    """The orders that each shop accepted, to be compared with its tables at the end."""

    def __init__(self) -> None:
        self._accepted: dict[str, list[UUID]] = {}

    def record(self, shop: Shop, sample_orders: Iterable[SampleOrder]) -> None:
        self._accepted.setdefault(shop.name, []).extend(order.id for order in sample_orders)

    async def reconcile(self, shops: Iterable[Shop], found: Results) -> Results:
        """Reconcile every shop and print the violations."""
        for shop in shops:
            await settled(shop, 120)
            found.violations[shop.name] = await shop.violations(self._accepted.get(shop.name, ()))
            for violation in found.violations[shop.name]:
                print(f"{shop.name}: {violation}", flush=True)
        return found


async def settled(shop: Shop, timeout_s: float = 60) -> None:
    """Wait until every order has its answer about stock, or until the timeout."""
    end = time.monotonic() + timeout_s
    while await shop.waiting() and time.monotonic() < end:
        await asyncio.sleep(0.02)


def _check(load: Load, *expected: int) -> Load:
    unexpected = {status: count for status, count in load.statuses.items() if status not in expected}
    assert not unexpected, f"unexpected answers: {unexpected}"
    return load


async def accept(world: World, effort: Effort) -> list[Line]:
    """Measure accepted orders a second, single POST, over few and many connections."""
    shops: list[Shop] = [HalfdayVariant(world), Monolith(world)]
    lines = []
    async with open_shops(shops):
        for connections in (32, 200):
            reconciliation = Reconciliation()

            async def measure(
                shop: Shop, n: int, connections: int = connections, reconciliation: Reconciliation = reconciliation
            ) -> Figures:
                sample_orders = market.sample_orders(effort.of(1500), n)
                load = _check(await client.burst(shop.port, map(shop.post, sample_orders), connections), CREATED)
                reconciliation.record(shop, sample_orders)
                await settled(shop)
                return {"rate": len(sample_orders) / load.seconds, "p99": load.quantile(0.99)}

            found = await reconciliation.reconcile(shops, await take_turns(shops, effort.runs, measure))
            what, violations = f"{connections} connections", found.violations["halfday"]
            for name, unit, rule, bar in (
                ("rate", "orders/s", Rule.RATIO_AT_LEAST, 1.5),
                ("p99", "ms, p99", Rule.RATIO_AT_MOST, 1.0),
            ):
                halfday, peer = found.of("halfday", name), found.of("monolith", name)
                lines.append(line("accept", what, unit, halfday, peer, "monolith", rule, bar, violations))
    return lines


async def accept_batch(world: World, effort: Effort) -> list[Line]:
    """Measure accepted orders a second, fifty in a request; the monolith accepts them one by one,
    as it has no batches.
    """
    shops: list[Shop] = [HalfdayVariant(world), Monolith(world)]
    reconciliation = Reconciliation()

    async def measure(shop: Shop, n: int) -> Figures:
        sample_orders = market.sample_orders(effort.of(4000 if isinstance(shop, HalfdayVariant) else 1500), n)
        if isinstance(shop, HalfdayVariant):
            groups = [sample_orders[at : at + BATCH] for at in range(0, len(sample_orders), BATCH)]
            bodies = [b"[" + b",".join(order.body for order in group) + b"]" for group in groups]
            posts = [client.request("/v1/orders:batch", body) for body in bodies]
            load = _check(await client.burst(shop.port, posts, 8), 200)
        else:
            load = _check(await client.burst(shop.port, map(shop.post, sample_orders), 32), CREATED)
        reconciliation.record(shop, sample_orders)
        await settled(shop)
        return {"rate": len(sample_orders) / load.seconds}

    async with open_shops(shops):
        found = await reconciliation.reconcile(shops, await take_turns(shops, effort.runs, measure))
    halfday, peer = found.of("halfday", "rate"), found.of("monolith", "rate")
    what = f":batch of {BATCH}"
    return [
        line(
            "accept-batch",
            what,
            "orders/s",
            halfday,
            peer,
            "monolith",
            Rule.RATIO_AT_LEAST,
            4,
            found.violations["halfday"],
        )
    ]


async def chain(world: World, effort: Effort) -> list[Line]:
    """Measure orders a second until all of a burst are reserved, spread over sixty goods and six sites."""
    shops: list[Shop] = [HalfdayVariant(world), Monolith(world), TwoServices(world)]
    reconciliation = Reconciliation()

    async def measure(shop: Shop, n: int) -> Figures:
        sample_orders = market.sample_orders(effort.of(1600 if shop.name != "typical" else 400), n)
        began = time.perf_counter()
        load = _check(await client.burst(shop.port, map(shop.post, sample_orders), 32), CREATED)
        await settled(shop)
        reconciliation.record(shop, sample_orders)
        return {"rate": len(sample_orders) / (time.perf_counter() - began), "intake": len(sample_orders) / load.seconds}

    async with open_shops(shops):
        found = await reconciliation.reconcile(shops, await take_turns(shops, effort.runs, measure))
    halfday, violations = found.of("halfday", "rate"), found.violations["halfday"]
    return [
        line("chain", "spread", "orders/s", halfday, found.of(peer, "rate"), peer, Rule.RATIO_AT_LEAST, bar, violations)
        for peer, bar in (("monolith", 0.8), ("typical", 6.0))
    ]


async def chain_hot(world: World, effort: Effort) -> list[Line]:
    """Measure the same with one item with stock for half of the orders: the first half gets it, in order of arrival."""
    count = effort.of(1600)
    shops: list[Shop] = [HalfdayVariant(world), Monolith(world)]
    reconciliation = Reconciliation()

    async def measure(shop: Shop, n: int) -> Figures:
        sample_orders = market.sample_orders(count, n, market.HOT[n])
        began = time.perf_counter()
        _check(await client.burst(shop.port, map(shop.post, sample_orders), 32), CREATED, 409)
        await settled(shop)
        took = time.perf_counter() - began
        reconciliation.record(shop, sample_orders)
        return {"rate": count / took}

    async with open_shops(shops, hot=count // 2):
        found = await reconciliation.reconcile(shops, await take_turns(shops, effort.runs, measure))
        for shop in shops:
            found.violations[shop.name] += await _half_reserved(shop, (effort.runs + 1) * count)
        halfday = next(shop for shop in shops if isinstance(shop, HalfdayVariant))
        found.violations["halfday"] += await _served_in_order(halfday)
    rates, peer = found.of("halfday", "rate"), found.of("monolith", "rate")
    rule, violations = Rule.RATIO_AT_LEAST, found.violations["halfday"]
    return [line("chain-hot", "one item, stock for half", "orders/s", rates, peer, "monolith", rule, 1.5, violations)]


async def _half_reserved(shop: Shop, orders: int) -> list[str]:
    states = list((await shop.states()).values())
    got = states.count("reserved")
    return [] if got == orders // 2 else [f"{got} of {orders} orders got the item, expected half of them"]


async def _served_in_order(shop: HalfdayVariant) -> list[str]:
    """Check that the first orders got the hot items: the commands' positions in the log against the refused orders."""
    refused = {id for id, state in (await shop.states()).items() if state == "rejected"}
    rows = await shop.db.fetch(
        'select payload from outbox_sent where topic = $1 order by partition, "offset"', "inventory.command.v1"
    )
    seen: set[str] = set()
    for row in rows:
        command = orjson.loads(row["payload"])
        item = command["lines"][0]["item"]
        if UUID(command["order"]) in refused:
            seen.add(item)
        elif item in seen:
            return [f"an order of {item} got stock after an earlier one had been refused"]
    return []


async def latency(world: World, effort: Effort) -> list[Line]:
    """Measure the time from when an order is due to be sent until its reservation is committed in
    the orders service.
    """
    shops: list[Shop] = [HalfdayVariant(world), TwoServices(world, "direct")]
    lines = []
    async with open_shops(shops):
        for shop in shops:
            await notify_on_reservation(shop)
        for rate in (50, 200):
            reconciliation = Reconciliation()

            async def measure(
                shop: Shop, n: int, rate: int = rate, reconciliation: Reconciliation = reconciliation
            ) -> Figures:
                sample_orders = market.sample_orders(int(rate * 4 * effort.scale), n)
                reconciliation.record(shop, sample_orders)
                millis = await reservations(shop, sample_orders, rate)
                return {"p50": client.quantile(millis, 0.5), "p99": client.quantile(millis, 0.99)}

            found = await reconciliation.reconcile(shops, await take_turns(shops, effort.runs, measure))
            for name, bar in (("p50", 2.0), ("p99", 1.5)):
                halfday, peer = found.of("halfday", name), found.of("unsafe", name)
                rule, violations = Rule.RATIO_AT_MOST, found.violations["halfday"]
                lines.append(
                    line("latency", f"{rate}/s", f"ms, {name}", halfday, peer, "unsafe", rule, bar, violations)
                )
    return lines


async def notify_on_reservation(shop: Shop) -> None:
    """Let the database notify when an order's new state is committed: the same trigger for every variant."""
    key = "order_id" if isinstance(shop, HalfdayVariant) else "id"
    await shop.db.execute(  # type: ignore[attr-defined]
        "create function reserved() returns trigger language plpgsql as $$ begin "
        f"perform pg_notify('reserved', new.{key}::text); return null; end $$; "
        "create trigger reserved after update of state on orders for each row execute function reserved()"
    )


async def reservations(shop: Shop, sample_orders: list[SampleOrder], rate: float) -> list[float]:
    """Place the orders at this rate; return the ms of each from its due time to its committed reservation."""
    seen: dict[str, float] = {}
    async with shop.db.acquire() as conn:  # type: ignore[attr-defined]

        def on_notice(_conn: object, _pid: int, _channel: str, order: object) -> None:
            seen.setdefault(str(order), time.time())

        await conn.add_listener("reserved", on_notice)
        load, due = await client.paced(shop.port, [shop.post(order) for order in sample_orders], rate)
        _check(load, CREATED)
        end = time.monotonic() + 20
        while len(seen) < len(sample_orders) and time.monotonic() < end:
            await asyncio.sleep(0.01)
        await conn.remove_listener("reserved", on_notice)
    assert len(seen) == len(sample_orders), f"{len(sample_orders) - len(seen)} orders were not reserved within 20 s"
    return [(seen[str(order.id)] - at) * 1000 for order, at in zip(sample_orders, due, strict=True)]
