"""The path of one order in docs/architecture.md equals the modules that a real order runs through.

One order is placed over HTTP, published by the relay, reserved by inventory and confirmed in orders, on the real
database and broker. A profiler records every call between modules; each leg of the page must list exactly the modules
that were entered, in that order. When the path has changed, the failure prints the lists for the page.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import orjson
import pytest
from faststream.kafka import KafkaBroker

from contracts.registry import decode
from services.inventory.app import SERVICE as INVENTORY
from services.kit.consumer.processor import BatchProcessor
from services.kit.consumer.subscription import TopicSource, subscribe
from services.kit.context import Context
from services.kit.kafka import make_broker
from services.kit.process import housekeeping
from services.kit.relay.relay import Relay
from services.kit.settings import Settings
from services.orders.app import SERVICE as ORDERS
from tests.integration.campaign_world import POOL
from tests.integration.inventory_service import Inventory, open_inventory
from tests.integration.orders_world import CATALOG, NOW, Orders, open_orders
from tests.stack import TestStack, eventually

pytestmark = pytest.mark.stack

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"
SUPPORT = frozenset(
    f"services/kit/{name}.py"
    for name in (
        *("clock", "compat", "context", "database", "errors", "faults", "ids", "settings"),
        *("http/body", "http/bounded", "telemetry/metrics", "telemetry/tracing", "transaction/ports"),
    )
)
"""Modules that every part uses, as it uses contracts/: the page names them once and leaves them out of the lists."""
ACCEPT, PUBLISH, RESERVE, CONFIRM = "1. Accept", "2. Publish", "3. Reserve", "4. Confirm"
MOST_CROSSINGS = 45
"""Pairs of modules with a call from one to the other on the way from the request to its 201 (34 before the move to
packages, with the same instrument; one of them finds the caller, two ask for its rights, three find the
member)."""


@dataclass
class Trace:
    """Modules in the order in which they were first entered, and the calls between two of them."""

    modules: dict[str, None] = field(default_factory=dict)
    calls: set[tuple[str, str]] = field(default_factory=set)
    names: dict[str, str | None] = field(default_factory=dict)

    def name(self, file: str) -> str | None:
        """Return the path of a service's file from the root; None for support modules and all other files."""
        if file not in self.names:
            path = Path(file).resolve()
            name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT / "services") else None
            self.names[file] = None if name in SUPPORT else name
        return self.names[file]

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        module = self.name(frame.f_code.co_filename) if event == "call" else None
        if module is None or frame.f_code.co_name == "filter":  # of a log record: only where the broker is slow
            return
        self.modules[module] = None
        caller = frame.f_back
        while caller and self.name(caller.f_code.co_filename) is None:
            caller = caller.f_back
        if caller:
            self.calls.add((str(self.name(caller.f_code.co_filename)), module))

    def path(self) -> list[str]:
        """Return the modules in order of entry."""
        return list(self.modules)

    def crossings(self) -> set[tuple[str, str]]:
        """Return the pairs of different modules with a call from the first to the second."""
        return {pair for pair in self.calls if pair[0] != pair[1]}


@contextmanager
def traced() -> Iterator[Trace]:
    """Record the calls of this thread."""
    trace = Trace()
    sys.setprofile(trace)
    try:
        yield trace
    finally:
        sys.setprofile(None)


def listed(page: str) -> dict[str, list[str]]:
    """Return the numbered modules below each heading of the page; a heading without any is left out."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in page.splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif module := re.match(r"\d+\. \[`([\w/]+\.py)`\]", line):
            found.setdefault(heading, []).append(module[1])
    return found


async def publish(context: Context, settings: Settings) -> None:
    """Run the relay until the outbox is empty."""
    relay = asyncio.create_task(Relay(context.service, settings, asyncio.Event()).run())

    async def drained() -> bool:
        return await context.pool.fetchval("select count(*) from outbox") == 0

    try:
        await eventually(drained, 30, "the outbox is empty")
    finally:
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)


@asynccontextmanager
async def reading(processor: BatchProcessor[TopicSource], settings: Settings) -> AsyncIterator[KafkaBroker]:
    """A broker client that feeds the processor once it is started."""
    broker = make_broker(settings)
    subscribe(broker, processor, settings)
    try:
        yield broker
    finally:
        await broker.stop()


async def follow(orders: Orders, inventory: Inventory, prefix: str) -> dict[str, Trace]:
    """Place an order and follow it to `order-reserved`; return the trace of each leg."""
    ours, theirs = (world.context.settings.model_copy(update={"prefix": prefix}) for world in (orders, inventory))
    with traced() as accept:
        order = await orders.place()
    with traced() as relay:
        await publish(orders.context, ours)
    commands = INVENTORY.consumers(inventory.context)["inventory.inventory.command.v1"]

    async def reserved_by_inventory() -> bool:
        return bool(await inventory.context.pool.fetchval("select count(*) from outbox"))

    async with reading(commands, theirs) as broker:
        with traced() as reserve:
            await broker.start()
            await eventually(reserved_by_inventory, 30, "inventory has reserved")
    await publish(inventory.context, theirs)
    answers = ORDERS.consumers(orders.context)["orders.inventory.stock.v1"]

    async def reserved() -> bool:
        query = "select state = 'reserved' from orders where order_id = $1"
        return bool(await orders.context.pool.fetchval(query, order))

    async with reading(answers, ours) as broker:
        with traced() as confirm:
            await broker.start()
            await eventually(reserved, 30, "the order is reserved")
    return {ACCEPT: accept, PUBLISH: relay, RESERVE: reserve, CONFIRM: confirm}


@pytest.fixture
async def legs(stack: TestStack, topics: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Trace]]:
    """The traces of one order, by leg. Another order before it fills caches and opens connections."""
    monkeypatch.setenv("HALFDAY_MEMBER_KEY", "ab" * 32)
    async with open_orders(stack) as orders, open_inventory(stack) as inventory:
        for world in (orders, inventory):
            await housekeeping.prepare(world.context)
        inventory.clock.set(NOW)
        day: dict[str, Any] = {"id": "sat", **CATALOG["market-days/sat"]}
        await inventory.hear(decode("market.orders.market-day-put.v1", orjson.dumps(day)))
        await inventory.stocked("honey", 20, pool=POOL, harvested_at=NOW.isoformat())
        await inventory.forget()
        await orders.place()
        await orders.context.pool.execute("delete from outbox")
        yield await follow(orders, inventory, topics)


async def test_the_page_lists_the_modules_on_the_path_of_an_order(legs: dict[str, Trace]) -> None:
    page = listed(PAGE.read_text("utf-8"))
    for leg, trace in legs.items():
        print(f"{leg}: {len(trace.path())} modules, {len(trace.crossings())} crossings", *trace.path(), sep="\n")
    assert page == {leg: trace.path() for leg, trace in legs.items()}


async def test_the_path_to_the_201_stays_short(legs: dict[str, Trace]) -> None:
    crossings = sorted(legs[ACCEPT].crossings())
    assert len(crossings) <= MOST_CROSSINGS, crossings
