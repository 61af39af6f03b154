"""Orders as clients see them: how many are accepted and reserved a second, and how long a reservation takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from uuid import UUID

import orjson

from tests.bench import client, market
from tests.bench.client import Load
from tests.bench.halfday_variant import Ours
from tests.bench.market import Wish
from tests.bench.runs import Effort, Figures, Found, opened, take_turns
from tests.bench.score import Line, Rule, line
from tests.bench.shops import Monolith, Shop, TwoServices
from tests.bench.world import World

TAKEN = 201
BATCH = 50


class Books:
    """What each shop accepted, to be compared with its books in the end."""

    def __init__(self) -> None:
        self._taken: dict[str, list[UUID]] = {}

    def keep(self, shop: Shop, wishes: Iterable[Wish]) -> None:
        self._taken.setdefault(shop.name, []).extend(wish.id for wish in wishes)

    async def close(self, shops: Iterable[Shop], found: Found) -> Found:
        """Reconciles every shop."""
        for shop in shops:
            await settled(shop, 120)
            found.faults[shop.name] = await shop.faults(self._taken.get(shop.name, ()))
            for fault in found.faults[shop.name]:
                print(f"{shop.name}: {fault}", flush=True)
        return found


async def settled(shop: Shop, patience: float = 60) -> None:
    """Returns when every order has its answer about stock, or when patience ends."""
    end = time.monotonic() + patience
    while await shop.waiting() and time.monotonic() < end:
        await asyncio.sleep(0.02)


def _check(load: Load, *fine: int) -> Load:
    strange = {status: count for status, count in load.statuses.items() if status not in fine}
    assert not strange, f"answers that were not expected: {strange}"
    return load


async def accept(world: World, effort: Effort) -> list[Line]:
    """Accepted orders a second, single POST, over few and many connections."""
    shops: list[Shop] = [Ours(world), Monolith(world)]
    lines = []
    async with opened(shops):
        for connections in (32, 200):
            books = Books()

            async def measure(shop: Shop, n: int, connections: int = connections, books: Books = books) -> Figures:
                wishes = market.wishes(effort.of(1500), n)
                load = _check(await client.burst(shop.port, map(shop.post, wishes), connections), TAKEN)
                books.keep(shop, wishes)
                await settled(shop)
                return {"rate": len(wishes) / load.seconds, "p99": load.quantile(0.99)}

            found = await books.close(shops, await take_turns(shops, effort.runs, measure))
            what, faults = f"{connections} connections", found.faults["ours"]
            for name, unit, rule, bar in (
                ("rate", "orders/s", Rule.RATIO_AT_LEAST, 1.5),
                ("p99", "ms, p99", Rule.RATIO_AT_MOST, 1.0),
            ):
                ours, peer = found.of("ours", name), found.of("monolith", name)
                lines.append(line("accept", what, unit, ours, peer, "monolith", rule, bar, faults))
    return lines


async def accept_batch(world: World, effort: Effort) -> list[Line]:
    """Accepted orders a second, fifty in a request; the monolith takes them one by one, as it has no other way."""
    shops: list[Shop] = [Ours(world), Monolith(world)]
    books = Books()

    async def measure(shop: Shop, n: int) -> Figures:
        wishes = market.wishes(effort.of(4000 if isinstance(shop, Ours) else 1500), n)
        if isinstance(shop, Ours):
            groups = [wishes[at : at + BATCH] for at in range(0, len(wishes), BATCH)]
            bodies = [b"[" + b",".join(wish.body for wish in group) + b"]" for group in groups]
            posts = [client.request("/v1/orders:batch", body) for body in bodies]
            load = _check(await client.burst(shop.port, posts, 8), 200)
        else:
            load = _check(await client.burst(shop.port, map(shop.post, wishes), 32), TAKEN)
        books.keep(shop, wishes)
        await settled(shop)
        return {"rate": len(wishes) / load.seconds}

    async with opened(shops):
        found = await books.close(shops, await take_turns(shops, effort.runs, measure))
    ours, peer = found.of("ours", "rate"), found.of("monolith", "rate")
    what = f":batch of {BATCH}"
    return [
        line("accept-batch", what, "orders/s", ours, peer, "monolith", Rule.RATIO_AT_LEAST, 4, found.faults["ours"])
    ]


async def chain(world: World, effort: Effort) -> list[Line]:
    """Orders a second until all of a burst are reserved, spread over sixty goods and six sites."""
    shops: list[Shop] = [Ours(world), Monolith(world), TwoServices(world)]
    books = Books()

    async def measure(shop: Shop, n: int) -> Figures:
        wishes = market.wishes(effort.of(1600 if shop.name != "typical" else 400), n)
        began = time.perf_counter()
        load = _check(await client.burst(shop.port, map(shop.post, wishes), 32), TAKEN)
        await settled(shop)
        books.keep(shop, wishes)
        return {"rate": len(wishes) / (time.perf_counter() - began), "intake": len(wishes) / load.seconds}

    async with opened(shops):
        found = await books.close(shops, await take_turns(shops, effort.runs, measure))
    ours, faults = found.of("ours", "rate"), found.faults["ours"]
    return [
        line("chain", "spread", "orders/s", ours, found.of(peer, "rate"), peer, Rule.RATIO_AT_LEAST, bar, faults)
        for peer, bar in (("monolith", 0.8), ("typical", 6.0))
    ]


async def chain_hot(world: World, effort: Effort) -> list[Line]:
    """The same with one item that everybody wants and half of them get: the first half, in order of arrival."""
    count = effort.of(1600)
    shops: list[Shop] = [Ours(world), Monolith(world)]
    books = Books()

    async def measure(shop: Shop, n: int) -> Figures:
        wishes = market.wishes(count, n, market.HOT[n])
        began = time.perf_counter()
        _check(await client.burst(shop.port, map(shop.post, wishes), 32), TAKEN, 409)
        await settled(shop)
        took = time.perf_counter() - began
        books.keep(shop, wishes)
        return {"rate": count / took}

    async with opened(shops, hot=count // 2):
        found = await books.close(shops, await take_turns(shops, effort.runs, measure))
        for shop in shops:
            found.faults[shop.name] += await _halved(shop, (effort.runs + 1) * count)
        ours = next(shop for shop in shops if isinstance(shop, Ours))
        found.faults["ours"] += await _in_order(ours)
    rates, peer = found.of("ours", "rate"), found.of("monolith", "rate")
    rule, faults = Rule.RATIO_AT_LEAST, found.faults["ours"]
    return [line("chain-hot", "one item, stock for half", "orders/s", rates, peer, "monolith", rule, 1.5, faults)]


async def _halved(shop: Shop, orders: int) -> list[str]:
    states = list((await shop.states()).values())
    got = states.count("reserved")
    return [] if got == orders // 2 else [f"{got} of {orders} orders got the item, not half of them"]


async def _in_order(shop: Ours) -> list[str]:
    """Whether those who came first got the hot items: the commands' places in the log, against who was refused."""
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
            return [f"an order of {item} was served after an earlier one had been refused"]
    return []


async def latency(world: World, effort: Effort) -> list[Line]:
    """From the moment an order is due to be sent until its reservation is committed in the orders service."""
    shops: list[Shop] = [Ours(world), TwoServices(world, "direct")]
    lines = []
    async with opened(shops):
        for shop in shops:
            await announce(shop)
        for rate in (50, 200):
            books = Books()

            async def measure(shop: Shop, n: int, rate: int = rate, books: Books = books) -> Figures:
                wishes = market.wishes(int(rate * 4 * effort.scale), n)
                books.keep(shop, wishes)
                millis = await reservations(shop, wishes, rate)
                return {"p50": client.quantile(millis, 0.5), "p99": client.quantile(millis, 0.99)}

            found = await books.close(shops, await take_turns(shops, effort.runs, measure))
            for name, bar in (("p50", 2.0), ("p99", 1.5)):
                ours, peer = found.of("ours", name), found.of("unsafe", name)
                rule, faults = Rule.RATIO_AT_MOST, found.faults["ours"]
                lines.append(line("latency", f"{rate}/s", f"ms, {name}", ours, peer, "unsafe", rule, bar, faults))
    return lines


async def announce(shop: Shop) -> None:
    """Makes the database say when an order's new state is committed: the same trigger for every variant."""
    key = "order_id" if isinstance(shop, Ours) else "id"
    await shop.db.execute(  # type: ignore[attr-defined]
        "create function reserved() returns trigger language plpgsql as $$ begin "
        f"perform pg_notify('reserved', new.{key}::text); return null; end $$; "
        "create trigger reserved after update of state on orders for each row execute function reserved()"
    )


async def reservations(shop: Shop, wishes: list[Wish], rate: float) -> list[float]:
    """Places the orders at this rate; how long each took from when it was due to its committed reservation, in ms."""
    seen: dict[str, float] = {}
    async with shop.db.acquire() as conn:  # type: ignore[attr-defined]

        def on_notice(_conn: object, _pid: int, _channel: str, order: object) -> None:
            seen.setdefault(str(order), time.time())

        await conn.add_listener("reserved", on_notice)
        load, due = await client.paced(shop.port, [shop.post(wish) for wish in wishes], rate)
        _check(load, TAKEN)
        end = time.monotonic() + 20
        while len(seen) < len(wishes) and time.monotonic() < end:
            await asyncio.sleep(0.01)
        await conn.remove_listener("reserved", on_notice)
    assert len(seen) == len(wishes), f"{len(wishes) - len(seen)} orders were not reserved within 20 s"
    return [(seen[str(wish.id)] - at) * 1000 for wish, at in zip(wishes, due, strict=True)]
