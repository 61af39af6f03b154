"""The variants of a shop as processes beside the world's Kafka and PostgreSQL, with their reconciliation."""

from __future__ import annotations

import hashlib
import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Collection
from uuid import UUID

import asyncpg

from tests.bench import market
from tests.bench.client import request
from tests.bench.market import SampleOrder
from tests.bench.peers import inventory, monolith, orders, shop
from tests.bench.world import Child, World, free_port

Pool = asyncpg.Pool


class Shop(ABC):
    """A running variant. Orders are posted to `port`; `waiting` is True while any has no answer yet."""

    name: str
    port: int

    def __init__(self, world: World) -> None:
        self.world = world
        self.children: list[Child] = []

    @abstractmethod
    async def open(self, hot: int) -> None:
        """Open the shop with plenty of everything and `hot` of each hot item; it sells on return."""

    @abstractmethod
    async def states(self) -> dict[UUID, str]:
        """Return every order with its state: placed, reserved or rejected."""

    @abstractmethod
    async def waiting(self) -> bool:
        """Return True if any order has no answer about stock yet."""

    @abstractmethod
    async def claims(self) -> list[tuple[str, str, int, int, int]]:
        """Return (pool, item, on hand, reserved by the stock row, reserved by the reservations)."""

    async def close(self) -> None:
        for child in self.children:
            await child.stop()

    def post(self, order: SampleOrder) -> bytes:
        """Return the request that places the order."""
        return request("/v1/orders", order.body)

    async def violations(self, accepted: Collection[UUID]) -> list[str]:
        """Reconcile after all orders in `accepted` were accepted; return the violations."""
        states = await self.states()
        lost = [id for id in accepted if id not in states]
        placed = [id for id in accepted if states.get(id) == "placed"]
        found = [f"{len(lost)} accepted orders were lost"] * bool(lost)
        found += [f"{len(placed)} orders were never answered"] * bool(placed)
        for pool, item, on_hand, reserved, claimed in await self.claims():
            if reserved > on_hand:
                found.append(f"{pool} {item} is oversold: {reserved} of {on_hand}")
            if reserved != claimed:
                found.append(f"{pool} {item}: the stock row has {reserved} reserved, the reservations {claimed}")
        return found


async def _put_stock(pool: Pool, hot: int) -> None:
    rows = market.stock(hot)
    await pool.executemany("insert into stock (pool, item, on_hand) values ($1, $2, $3)", rows)


async def _put_prices(pool: Pool) -> None:
    prices = [(item, market.PRICE_FEN) for item in (*market.GOODS, *market.HOT)]
    await pool.executemany("insert into price (item, fen) values ($1, $2)", prices)


_STATES, WAITING = "select id, state from orders", "select exists (select from orders where state = 'placed')"


class Monolith(Shop):
    """FastAPI and asyncpg, one transaction for order and stock."""

    name = "monolith"

    async def open(self, hot: int) -> None:
        url = await self.world.database(shop.SCHEMA + shop.STOCK)
        self.db = await self.world.pool(url)
        await _put_prices(self.db)
        await _put_stock(self.db, hot)
        self.port = free_port()
        environment = {"DATABASE_URL": url, "PORT": str(self.port)}
        self.children = [await self.world.start([monolith.__name__], self.port, environment)]

    async def states(self) -> dict[UUID, str]:
        return {row["id"]: row["state"] for row in await self.db.fetch(_STATES)}

    async def waiting(self) -> bool:
        return False

    async def claims(self) -> list[tuple[str, str, int, int, int]]:
        rows = await self.db.fetch(
            "select s.pool, s.item, s.on_hand, s.reserved, coalesce(l.claimed, 0)::bigint from stock s left join ("
            "select market_day || '@' || community as pool, item, sum(quantity) as claimed from orders o "
            "join order_line on o.id = order_id where state = 'reserved' group by 1, 2) l using (pool, item)"
        )
        return [tuple(row) for row in rows]


class TwoServices(Shop):
    """FastAPI, FastStream and asyncpg: orders and inventory over Kafka, a transaction and a commit a message."""

    def __init__(self, world: World, style: str = "outbox") -> None:
        super().__init__(world)
        self.style, self.name = style, "typical" if style == "outbox" else "unsafe"
        self.prefix = f"{self.name}{secrets.token_hex(2)}."

    async def open(self, hot: int) -> None:
        urls = [await self.world.database(half.SCHEMA) for half in (orders, inventory)]
        self.db, self.stock = [await self.world.pool(url) for url in urls]
        await _put_prices(self.db)
        await _put_stock(self.stock, hot)
        for topic in ("orders", "stock"):
            self.world.stack.topic(self.prefix + topic, 6)
        ports = [free_port(), free_port()]
        self.port = ports[0]
        shared = self.world.kafka() | {"PREFIX": self.prefix, "STYLE": self.style}
        self.environments = [
            shared | {"DATABASE_URL": url, "PORT": str(port)} for url, port in zip(urls, ports, strict=True)
        ]
        self.ports = ports
        self.children = [
            await self.world.start([orders.__name__], ports[0], self.environments[0]),
            await self.start_inventory(),
        ]

    async def start_inventory(self) -> Child:
        """Start the stock half."""
        return await self.world.start([inventory.__name__], self.ports[1], self.environments[1])

    async def states(self) -> dict[UUID, str]:
        return {row["id"]: row["state"] for row in await self.db.fetch(_STATES)}

    async def waiting(self) -> bool:
        return bool(await self.db.fetchval(WAITING))

    async def claims(self) -> list[tuple[str, str, int, int, int]]:
        rows = await self.stock.fetch(
            "select s.pool, s.item, s.on_hand, s.reserved, coalesce(l.claimed, 0)::bigint from stock s left join ("
            "select pool, item, sum(quantity) as claimed from reservation join reservation_line using (order_id) "
            "where granted group by 1, 2) l using (pool, item)"
        )
        return [tuple(row) for row in rows]


def tokens() -> str:
    """Return the setting that accepts `buyer-token` and its like."""
    roles = ("operator", "buyer", "leader", "terminal", "courier")
    return json.dumps({role: hashlib.sha256(f"{role}-token".encode()).hexdigest() for role in roles})
