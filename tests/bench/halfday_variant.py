"""This project as a shop: the API and worker of orders and the worker of inventory, started as by `halfday up`."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from services.inventory.app import SERVICE as INVENTORY
from services.inventory.domain import lot as lots
from services.inventory.domain.lot import Lot
from services.inventory.repository.load_set import LoadSet
from services.inventory.repository.stock import StockRepository
from services.kit.clock import Clock
from services.kit.transaction.ports import Ports
from services.kit.transaction.unit_of_work import begin
from services.orders.domain.catalog import KINDS
from services.orders.repository.postgres import PostgresStore
from tests.bench import market
from tests.bench.shops import WAITING, Shop, tokens
from tests.bench.world import Child, World, free_port


class HalfdayVariant(Shop):
    """This project. `environments`: environment variables by process name, such as `orders.worker`."""

    name = "halfday"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.prefix = f"halfday{secrets.token_hex(2)}."
        self.environments: dict[str, dict[str, str]] = {}
        self.port = free_port()
        self.ports: dict[str, int] = {}

    async def open(self, hot: int) -> None:
        await self.prepare(hot)
        for name in ("orders.api", "orders.worker", "inventory.worker"):
            self.children.append(await self.run(name))

    async def prepare(self, hot: int) -> None:
        """Create everything but the processes: topics, databases, catalogue, stock."""
        self.world.stack.topics(self.prefix)
        urls = {service: await self.world.stack.database(service) for service in ("orders", "inventory")}
        self.db, self.stock = [await self.world.pool(url) for url in urls.values()]
        await put_catalogue(self.db)
        await put_stock(self.stock, hot)
        for name in ("orders.api", "orders.worker", "inventory.worker"):
            self.ports[name] = free_port()
            self.environments[name] = self._environment(name, urls[name.split(".")[0]])

    async def run(self, name: str, *, ready: bool = True) -> Child:
        """Start one process; return when it is ready."""
        service, role = name.split(".")
        return await self.world.start(
            [f"services.{service}", role], self.ports[name], self.environments[name], ready=ready
        )

    def _environment(self, name: str, url: str) -> dict[str, str]:
        environment = service_environment(self.world, name.split(".")[0], url, self.prefix, f"{self.prefix}{name}.0")
        http = {"HALFDAY_HTTP_PORT": str(self.port)} if name.endswith("api") else {}
        return environment | http | {"HALFDAY_HEALTH_PORT": str(self.ports[name])}

    async def states(self) -> dict[UUID, str]:
        return {row["order_id"]: row["state"] for row in await self.db.fetch("select order_id, state from orders")}

    async def waiting(self) -> bool:
        return bool(await self.db.fetchval(WAITING))

    async def claims(self) -> list[tuple[str, str, int, int, int]]:
        rows = await self.stock.fetch(
            "select s.pool, s.item, s.on_hand, s.held + s.allocated, coalesce(l.claimed, 0)::bigint from stock s "
            "left join (select l.pool, l.item, sum(l.quantity) as claimed from reservation_line l "
            "join reservation r on r.id = l.reservation where r.state in ('held', 'firm') group by 1, 2) l "
            "using (pool, item)"
        )
        return [tuple(row) for row in rows]


def service_environment(world: World, service: str, url: str, prefix: str, instance: str) -> dict[str, str]:
    """Return the environment variables of a service process, without its port."""
    settings = world.stack.settings(service, url, prefix)
    environment = {
        "DATABASE_URL": url,
        "KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "KAFKA_USERNAME": settings.kafka_username,
        "KAFKA_PASSWORD": settings.kafka_password,
        "PREFIX": prefix,
        "TOKENS": tokens(),
        "INSTANCE": instance,
    }
    return {f"HALFDAY_{name}": value for name, value in environment.items() if value is not None}


async def put_catalogue(pool: Any) -> None:
    async with pool.acquire() as conn, conn.transaction():
        for kind, id, body in market.catalogue():
            entity = KINDS[kind].model_validate({**body, "id": id})
            await PostgresStore(conn).upsert_entry(kind, entity, datetime.now(UTC))


async def put_stock(pool: Any, hot: int) -> None:
    """Put goods as their inspection leaves them."""
    found, now = market.stock(hot), datetime.now(UTC)
    async with begin(pool, Ports(Clock(), INVENTORY.store), consumer="inventory.api") as uow:
        repository = StockRepository(uow)
        await repository.load_rows(LoadSet(pools={pool for pool, _, _ in found}))
        for name, item, quantity in found:
            lot, moves = lots.inspect(Lot(uuid4(), name, item, "h1", quantity, now, now), quantity)
            repository.lots.put(lot)
            repository.apply(moves)
        await repository.save()
