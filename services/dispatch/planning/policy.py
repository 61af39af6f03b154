"""Send now or keep for the next wave: pure functions of a `Moment`, which is stored with the answer to give it again.

A job whose goods have not come yet can't be sent, but it is known: it may share a trip with one that waits for it.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic.dataclasses import dataclass

from services.dispatch.planning.model import Model
from services.dispatch.planning.problem import Order, Problem


@dataclass(frozen=True, slots=True)
class Moment:
    """All that a decision is made from, at a wave.

    `problem` has the couriers from when each is free at the station, and every known order that is not on its way;
    `release_s` is when its goods are expected, or up to `now_s` if they are here. `futures` are examples of what else
    may be asked for from now on: what other days brought after this hour.
    """

    now_s: int
    next_s: int
    problem: Problem
    futures: tuple[tuple[Order, ...], ...] = ()
    seed: int = 0

    @property
    def waiting(self) -> list[Order]:
        """The orders that can be sent."""
        return [order for order in self.problem.orders if order.release_s <= self.now_s]


Policy = Callable[[Moment], frozenset[str]]
"""The ids of the waiting orders that go now."""


def greedy(moment: Moment) -> frozenset[str]:
    """All that waits, but for what would wait at its door longer than until the next wave."""
    model = Model(moment.problem)
    found = set()
    for order in moment.waiting:
        n = model.number[order.id]
        there = moment.next_s + moment.problem.load_s + _way_s(model, n)
        if model.opening(n, there) <= there:
            found.add(order.id)
    return frozenset(found)


def lazy(moment: Moment) -> frozenset[str]:
    """What would come too late with the next wave, were it sent alone; nothing else."""
    model = Model(moment.problem)
    return frozenset(order.id for order in moment.waiting if pressing(moment, model, order))


def pressing(moment: Moment, model: Model, order: Order, margin_s: int = 0) -> bool:
    """Whether the order, sent alone `margin_s` after the next wave, would be late."""
    n = model.number[order.id]
    latest = max((last for _, last in model.windows[n]), default=0)
    return moment.next_s + margin_s + moment.problem.load_s + _way_s(model, n) > latest


def _way_s(model: Model, n: int) -> int:
    """Seconds to the order for the slowest courier."""
    return max((ways.seconds(0, n) for ways in model.ways), default=0)
