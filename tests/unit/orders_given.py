"""Given an order, when messages come, then: the life of an order as a test reads it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from contracts.envelope import Event
from contracts.events import dispatch as d
from contracts.events import inventory as i
from contracts.events.orders import OrderLine
from contracts.values import Channel, Fulfilment, Payment
from services.orders.domain.order.order import Money, Order, OrderDecision, OrderState, Terms
from services.orders.domain.order.state_machine import decide, placed

NOW = datetime(2024, 11, 2, 1, 0, tzinfo=UTC)
SLOT = NOW + timedelta(hours=4)
CLOSES = NOW + timedelta(hours=8)


def an_order(payment: str = "on_account", *, pickup: bool = False) -> Order:
    """A placed order of two jars of honey, 1 200 fen."""
    line = OrderLine(line=1, item="honey", quantity=2, price_fen=600, price="honey-app", amount_fen=1200)
    terms = Terms(
        order=UUID(int=7),
        channel=Channel.APP,
        market_day="sat",
        community="qifeng",
        pool="sat@square",
        lines=(line,),
        fulfilment=Fulfilment.PICKUP if pickup else Fulfilment.DELIVERY,
        payment=Payment(payment),
        code="123456",
        due_by=SLOT,
        closes_at=CLOSES,
        placed_at=NOW,
        point="gate" if pickup else None,
    )
    return Order(terms, money=(Money("prepaid", 1200),) if payment == "prepaid" else ())


def message(type_: type[Any], order: Order, **more: Any) -> Any:
    """An inventory or dispatch event about the order's current reservation and job."""
    if issubclass(type_, i.ClaimsExceeded):
        known: dict[str, Any] = {"item": "honey", "shortfall": 1, "reservations": [order.reservation], "orders": []}
        return type_(pool=order.terms.pool, **{**known, **more})
    known = {"reservation": order.reservation, "pool": order.terms.pool, "order": order.id}
    if issubclass(type_, d.JobEvent):
        known |= {"job": order.job, "courier": "c1", "epoch": 1, "reason": "refused", "attempt": 1}
        known |= {"delivered_at": NOW, "wave": "w1", "slot_from": SLOT, "slot_until": SLOT + timedelta(hours=1)}
    else:
        known |= {"firm": True, "lines": [], "reason": "why", "quantity": 0}
    return type_(**{**known, **more})


@dataclass
class Case:
    """One order and all that its messages led to. `given` builds it; `when` adds a message; the rest is asserted."""

    order: Order
    now: datetime = NOW
    decisions: list[OrderDecision] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    commands: list[Event] = field(default_factory=list)

    @classmethod
    def given(
        cls, state: OrderState = OrderState.PLACED, payment: str = "on_account", *, pickup: bool = False, **more: Any
    ) -> Case:
        """Start from an order in `state`, without its history."""
        return cls(replace(an_order(payment, pickup=pickup), state=state, **more))

    def accepted(self) -> Case:
        """The acceptance itself."""
        return self._keep(placed(self.order))

    def when(self, what: Any, **more: Any) -> Case:
        """A message: a class of contracts.events (about the current reservation unless said), or a domain message."""
        made = message(what, self.order, **more) if isinstance(what, type) and issubclass(what, Event) else what
        return self._keep(decide(self.order, made, self.now))

    def then(self, state: OrderState, *told: str) -> Case:
        """The state now, and the names of the last message's events and commands, in order."""
        last = self.decisions[-1]
        assert self.order.state is state
        assert [type(one).__name__ for one in (*last.events, *last.commands)] == list(told)
        return self

    @property
    def last(self) -> OrderDecision:
        """The decision of the last message."""
        return self.decisions[-1]

    def _keep(self, decision: OrderDecision) -> Case:
        self.order = decision.order
        self.decisions.append(decision)
        self.events += decision.events
        self.commands += decision.commands
        return self
