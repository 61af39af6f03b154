"""The plan that always comes: cheapest insertion with loads, windows and several trips a courier.

Farthest orders first (they shape the routes); each goes where it adds the fewest metres. Deterministic, about
n x (n + couriers) insertions: 300 orders and 12 couriers in well under a second.
"""

from __future__ import annotations

from services.dispatch.planning.matrix import MatrixPort, great_circle
from services.dispatch.planning.plan import Plan, Unserved
from services.dispatch.planning.problem import Order, Place, Problem
from services.dispatch.planning.route import Day


def solve(problem: Problem, matrix_of: MatrixPort = great_circle) -> Plan:
    """A feasible plan in which every order is either planned once or unserved with a reason."""
    places: list[Place] = [problem.station, *(order.place for order in problem.orders)]
    matrix = matrix_of(places)
    days = [Day(courier, problem, matrix) for courier in problem.couriers]
    unserved: list[Unserved] = []
    for index in sorted(range(1, len(places)), key=lambda i: (-matrix.metres[0][i], i)):
        options = ((*option, n) for n, day in enumerate(days) for option in day.options(index))
        best = min(options, default=None, key=lambda option: (option[0], option[3], option[1]))
        if best is None:
            order = problem.orders[index - 1]
            unserved.append(Unserved(order.id, _why(problem, order, matrix.seconds[0][index])))
        else:
            _, step, alone, n = best
            days[n].insert(index, step, alone)
    used = [day for day in days if len(day.walk) > 2]
    return Plan(tuple(day.route() for day in used), tuple(unserved), sum(day.metres() for day in used), "greedy")


def _why(problem: Problem, order: Order, way_s: int) -> str:
    """The first thing that binds: nobody there, too heavy, too much cold room, too far, no time left."""
    strong = [c for c in problem.couriers if c.capacity_g >= order.load_g]
    able = [c for c in strong if c.cold_ml >= order.cold_ml]
    if not problem.couriers:
        return "no courier is on shift"
    if not strong:
        return f"{order.load_g} g is more than any vehicle carries"
    if not able:
        return f"{order.cold_ml} ml of cold room is more than any able vehicle has"
    arrivals = [(max(c.from_s + problem.load_s + way_s, order.from_s), c) for c in able]
    if not any(t <= order.until_s and t + order.service_s + way_s <= c.until_s for t, c in arrivals):
        return "too far to be reached and come back from in the slot"
    return "no vehicle that can carry it has time or room left in the slot"
