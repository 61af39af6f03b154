"""Broken on purpose: stock that is given up before the delivery is off is caught."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from contracts.events import dispatch as d
from contracts.events import inventory as i
from services.orders.domain.order import state_machine, transitions
from services.orders.domain.order.order import Cancel, Order, OrderDecision, OrderState
from services.orders.domain.order.state_machine import Step, decide
from tests.unit.orders_given import NOW, an_order, message


@dataclass
class Yard:
    """Inventory and dispatch as they are seen from outside: who may have the goods, and what is on the road.

    `sold_twice` becomes true when goods are free for others and leave on a courier's vehicle as well.
    """

    free: set[UUID] = field(default_factory=set)
    released_wave: bool = False
    sold_twice: bool = False

    def answer(self, command: Any, order: Order) -> list[Any]:
        match command:
            case i.ReleaseStock():
                self.free.add(command.reservation)
                return [message(i.ReservationReleased, order)]
            case d.CancelDelivery() if self.released_wave:
                self.sold_twice |= command.reservation in self.free
                return [message(d.CancelRefused, order), message(d.JobLoaded, order)]
            case d.CancelDelivery():
                return [message(d.JobCancelled, order)]
            case d.ScheduleDelivery():
                return [message(d.JobPlanned, order)]
        return []


def play(yard: Yard) -> Order:
    """Reserved, planned, and then cancelled just after the routes were handed out."""
    order, waiting = an_order(), [message(i.StockReserved, an_order())]
    while waiting:
        decision = decide(order, waiting.pop(0), NOW)
        order = decision.order
        for command in decision.commands:
            waiting += yard.answer(command, order)
        if order.state is OrderState.SCHEDULED and not waiting and not yard.released_wave:
            yard.released_wave = True
            waiting.append(Cancel())
    return order


def test_a_cancel_in_order_never_frees_what_is_on_the_road():
    yard = Yard()
    assert play(yard).state is OrderState.LOADED
    assert not yard.free
    assert not yard.sold_twice


@pytest.mark.seeded
def test_a_cancel_out_of_order_is_caught(monkeypatch: pytest.MonkeyPatch):
    def release_first(order: Order, asked: Any, now: Any) -> OrderDecision:
        good = transitions.cancel(order, asked, now)
        return OrderDecision(good.order, good.events, (message_of_release(order), *good.commands))

    def message_of_release(order: Order) -> i.ReleaseStock:
        return i.ReleaseStock(reservation=order.reservation, pool=order.terms.pool, order=order.id)

    row = (OrderState.SCHEDULED, Cancel)
    monkeypatch.setitem(state_machine.TRANSITIONS, row, Step(release_first, state_machine.TRANSITIONS[row].to))
    yard = Yard()
    play(yard)
    assert yard.sold_twice
