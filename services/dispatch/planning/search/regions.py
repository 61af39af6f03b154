"""Divides a large fleet into parts of vehicles that drive near each other, along another line each time."""

from __future__ import annotations

from random import Random

import numpy as np

from services.dispatch.planning.search.kernel.fleet import Fleet
from services.dispatch.planning.search.ruin_recreate import Days


def cut(fleet: Fleet, days: Days, parts: int, random: Random) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return the vehicles and orders of each part, with about equal numbers of orders.

    The line lies between two random orders far from each other: vehicles are sorted by how much nearer they drive to
    the one than to the other. Idle vehicles and unserved orders are distributed over the parts.
    """
    n = fleet.orders
    near = random.randint(1, n)
    row = fleet.cost[0, near, 1 : n + 1]
    far = 1 + int(random.choice(np.argsort(row)[-max(1, n // 10) :]))
    tilt = fleet.cost[0, : n + 1, near].astype(np.float64) - fleet.cost[0, : n + 1, far]
    served = {v: [order for trip in trips for order in trip] for v, trips in days.items()}
    line = sorted(served, key=lambda v: (tilt[served[v]].mean(), v))
    total = sum(len(orders) for orders in served.values())
    vehicles: list[list[int]] = [[] for _ in range(parts)]
    orders: list[list[int]] = [[] for _ in range(parts)]
    seen = 0
    for v in line:
        part = min(parts - 1, parts * seen // max(1, total))
        vehicles[part].append(v)
        orders[part].extend(served[v])
        seen += len(served[v])
    idle = [v for v in range(len(fleet.kind)) if v not in served]
    random.shuffle(idle)
    for n_th, v in enumerate(idle):
        vehicles[n_th % parts].append(v)
    for order in sorted(set(range(1, n + 1)).difference(*orders)):
        orders[random.randrange(parts)].append(order)
    return [(tuple(v), tuple(o)) for v, o in zip(vehicles, orders, strict=True)]
