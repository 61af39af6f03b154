"""Lays an instance of the literature out as a fleet of the planner's kernel."""

from __future__ import annotations

import numpy as np

from services.dispatch.planning.search.fleets import MOST_NEAREST, MOST_NEIGHBOURS, MOST_TRIPS, least_alone, to_int32
from services.dispatch.planning.search.kernel.fleet import FAR, Fleet, with_neighbours
from tests.bench.routing.literature import SCALE, Instance


def of_instance(instance: Instance) -> Fleet:
    """Return the fleet of an instance: the cost of a leg is its scaled distance."""
    points = np.array([(stop.x, stop.y) for stop in instance.stops])
    across = points[:, None, :] - points[None, :, :]
    legs = (SCALE * np.sqrt((across * across).sum(axis=2))).astype(np.int32)[None]
    vehicles, depot = min(instance.vehicles, len(instance.stops) - 1), instance.stops[0]
    order = to_int32([(stop.demand, 0, stop.service, stop.release, FAR) for stop in instance.stops])
    none = np.zeros(vehicles, np.int32)
    fleet = Fleet(
        cost=legs,
        time=legs,
        kind=none,
        group=none,
        capacity=to_int32([(instance.capacity, 0)] * vehicles),
        shift_start=none + depot.ready,
        shift_end=none + depot.due,
        home=none,
        fixed_cost=none.astype(np.int64),
        wait_cost=none.astype(np.int64),
        may_serve=np.ones((1, len(instance.stops)), np.bool_),
        demand=order,
        windows=to_int32([[(stop.ready, stop.due)] for stop in instance.stops]),
        skip_cost=np.full(len(instance.stops), 20 * int(legs.max()), np.int64),
        alone_cost=least_alone(legs, [0]),
        load_s=0,
        max_trips=MOST_TRIPS if instance.reloads else 1,
        neighbours=order,
    )
    return with_neighbours(fleet, MOST_NEIGHBOURS, MOST_NEAREST)
