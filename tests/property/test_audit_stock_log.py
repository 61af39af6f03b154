"""The audit's fold of the stock topic equals the tables of the inventory domain, whatever happened in the pool."""

from __future__ import annotations

import json
from typing import Any, cast
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis.stateful import invariant

from contracts.envelope import Event
from contracts.events.inventory import AllotmentGranted, AllotmentReturned, ClaimsExceeded, ReserveStock
from contracts.events.orders import SaleRecorded
from deploy.audit.invariants.facts import Fact
from deploy.audit.invariants.stock_log import TOPIC, Context, Pool, replay
from services.inventory.domain.allotment import allotment_event
from services.inventory.repository.stock import StockRepository
from services.kit.transaction.message import DeadlineReached
from services.kit.transaction.unit_of_work import UnitOfWork
from tests.property.test_inventory_stock import Market
from tests.unit.inventory_world import POOL, FakeUnit, World


class Publishing(FakeUnit):
    """Keeps the events as the audit reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: list[Fact] = []

    def emit(self, event: Event, *, part: str = "") -> UUID:
        id, cause, data = uuid4(), str(self.cause.id) if self.cause else "", json.loads(event.model_dump_json())
        name = event.TYPE.split(".")[2]
        time = self.now.isoformat()
        self.facts.append(Fact(str(id), name, event.TOPIC, event.subject, data, "", time=time, cause=cause))
        self.published.append(event)
        return id


class PublishingWorld(World):
    """Publishes the events of the HTTP routes, too."""

    def __init__(self) -> None:
        self.unit: Publishing = Publishing()
        StockRepository.__init__(self, cast(UnitOfWork, self.unit))
        self.terminals: dict[str, str] = {}
        self.origins: dict[str, str] = {}

    def send(self, data: Event | DeadlineReached) -> list[Event]:
        if isinstance(data, SaleRecorded):
            self.terminals[str(data.sale)] = data.terminal
        if isinstance(data, ReserveStock) and data.source:
            self.origins[str(data.reservation)] = str(data.source)
        found = super().send(data)
        self.unit.cause = None
        return found

    def lend(self, terminal: str, item: str, quantity: int, minutes: int = 60) -> None:
        super().lend(terminal, item, quantity, minutes)
        self.unit.emit(allotment_event(AllotmentGranted, self.allotment(terminal, POOL, item), quantity))

    def give_back(self, terminal: str, item: str, quantity: int, **more: Any) -> None:
        super().give_back(terminal, item, quantity, **more)
        self.unit.emit(allotment_event(AllotmentReturned, self.allotment(terminal, POOL, item), quantity))

    def renew(self, terminal: str, item: str, minutes: int = 60) -> None:
        super().renew(terminal, item, minutes)
        self.unit.emit(allotment_event(AllotmentGranted, self.allotment(terminal, POOL, item), 0))


class Audited(Market):
    """The market of inventory's own tests, read by the audit after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.world: PublishingWorld = PublishingWorld()

    def read(self) -> Pool:
        """The pool folded from the topic; checks each published shortfall on the way."""
        pool = Pool()
        facts = [fact for fact in self.world.unit.facts if fact.topic == TOPIC]
        for _, pool, fact in replay(facts, Context(self.world.terminals, self.world.origins)):
            assert not pool.risen, fact
            if fact.type == ClaimsExceeded.TYPE.split(".")[2]:
                assert pool.figures(fact.data["item"])["shortfall"] == fact.data["shortfall"]
        return pool

    @invariant()
    def the_topic_says_the_same(self) -> None:
        pool = self.read()
        for stock in self.world.stocks.values():
            figures = pool.figures(stock.item)
            assert figures == {name: getattr(stock, name) for name in figures}
        for allotment in self.world.allotments.values():
            table = pool.tables[allotment.terminal, allotment.item]
            assert (table.allotted, table.unconfirmed) == (allotment.allotted, allotment.unconfirmed)
        for lot in self.world.lots.values():
            assert pool.lots[lot.item, str(lot.id)] == lot.on_hand


TestAudited = Audited.TestCase
TestAudited.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
