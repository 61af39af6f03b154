"""A problem as lists of numbers for the planners, indexed by the place numbers of `matrix.layout`."""

from __future__ import annotations

from dataclasses import replace

from services.dispatch.planning.problem import Courier, Order, RoutingProblem
from services.dispatch.planning.travel.matrix import Estimate, Matrix, layout, matrices

FOREVER = 2**50
KM, HOUR, FEN = 18, 5, 18_000
"""Costs are sums in units of 1/18 000 fen: fen_per_km x metres x KM, fen_per_hour x seconds x HOUR, fen x FEN."""


class Columns:
    """Lists by place number. Orders have the numbers 1..n; `add` appends late ones."""

    def __init__(self, problem: RoutingProblem) -> None:
        where = layout(problem)
        self.problem = problem
        self.couriers: tuple[Courier, ...] = problem.couriers
        self.courier = {courier.id: c for c, courier in enumerate(problem.couriers)}
        self.starts, self.ends = where.starts, where.ends
        self.orders: dict[int, Order] = dict(enumerate(problem.orders, 1))
        self.number = {order.id: n for n, order in self.orders.items()}
        by_profile = matrices(problem, where.places)
        self.matrices: list[Matrix] = [by_profile[courier.profile] for courier in self.couriers]
        self.base = self.matrices[0] if self.matrices else by_profile["van"]
        first: dict[Courier, int] = {}
        self.alike = [first.setdefault(replace(courier, id=""), c) for c, courier in enumerate(self.couriers)]
        """For each courier the first one that differs from it only in the id."""
        blank = len(where.places)
        self.grams, self.cold, self.service, self.release = ([0] * blank for _ in range(4))
        self.limit = [FOREVER] * blank
        self.windows: list[list[tuple[int, int]]] = [[(0, FOREVER)]] * blank
        self.last = [FOREVER] * blank
        for n, order in self.orders.items():
            self._note(n, order)

    def _note(self, n: int, order: Order) -> None:
        self.grams[n], self.cold[n] = order.load_g, order.cold_ml
        self.service[n], self.release[n] = order.service_s, order.release_s
        self.limit[n] = FOREVER if order.out_of_cold_s is None else order.out_of_cold_s
        self.windows[n] = sorted((window.from_s, window.until_s) for window in order.windows)
        self.last[n] = max((window.until_s for window in order.windows), default=-1)

    def add(self, order: Order) -> int:
        """Add a late order and return its place number.

        Raises ValueError when the problem has given travel times, which can't include the order.
        """
        if order.id in self.number:
            return self.number[order.id]
        if self.problem.ways:
            raise ValueError(f"no travel times are given for order {order.id}: add it to the problem instead")
        assert isinstance(self.base, Estimate)
        self.base.grow(order.place)
        n = len(self.grams)
        for column in (self.grams, self.cold, self.service, self.release, self.limit):
            column.append(0)
        self.windows.append([])
        self.last.append(-1)
        self.orders[n], self.number[order.id] = order, n
        self._note(n, order)
        return n

    def speed(self, c: int) -> float:
        """Return the courier's metres a second on an average leg."""
        matrix = self.matrices[c]
        if isinstance(matrix, Estimate):
            return matrix.city
        return max(sum(matrix.metres(0, n) for n in self.orders), 1) / max(
            sum(matrix.seconds(0, n) for n in self.orders), 1
        )

    def opening(self, place: int, moment: int) -> int:
        """Return the first second from `moment` on at which service may begin; FOREVER when there is none."""
        for first, last in self.windows[place]:
            if moment <= last:
                return moment if moment > first else first if first <= last else FOREVER
        return FOREVER

    def closing(self, place: int, moment: int) -> int:
        """Return the last second up to `moment` at which service may begin; -FOREVER when there is none."""
        for first, last in reversed(self.windows[place]):
            if moment >= first:
                return min(moment, last) if first <= last else -FOREVER
        return -FOREVER
