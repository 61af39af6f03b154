"""Lays an instance of the literature out as a fleet of the planner's kernel."""

from __future__ import annotations

import numpy as np

from services.dispatch.planning.search.fleets import AROUND, MOST_TRIPS, NEAR, least_alone, to_int32
from services.dispatch.planning.search.kernel.fleet import FAR, Fleet, bound
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
        room=to_int32([(instance.capacity, 0)] * vehicles),
        opens=none + depot.ready,
        shuts=none + depot.due,
        home=none,
        once=none.astype(np.int64),
        wage=none.astype(np.int64),
        able=np.ones((1, len(instance.stops)), np.bool_),
        order=order,
        windows=to_int32([[(stop.ready, stop.due)] for stop in instance.stops]),
        absent=np.full(len(instance.stops), 20 * int(legs.max()), np.int64),
        lone=least_alone(legs, [0]),
        load_s=0,
        max_trips=MOST_TRIPS if instance.reloads else 1,
        near=order,
    )
    return bound(fleet, NEAR, AROUND)
