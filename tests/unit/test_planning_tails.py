"""Exchange of the ends of trips: the arrays stay consistent after each exchange, and no order is lost."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from services.dispatch.planning.search.kernel.ruin import fill
from services.dispatch.planning.search.kernel.tails import exchange_tails
from services.dispatch.planning.search.kernel.tours import FREE_LOAD, HEAD, NEXT, SIZE, TAIL, empty
from services.dispatch.planning.search.ruin_recreate import Search, days_of
from tests.bench.routing.instance_fleet import of_instance
from tests.bench.routing.literature import read

INSTANCES = Path(__file__).parents[1] / "bench/routing/instances"
ENDLESS = 1e9


@pytest.mark.parametrize("name", ["windows-100.txt", "trips-100.vrp"])
def test_tours_whose_trips_exchange_ends_are_those_laid_out_anew(name):
    fleet, tours, rng = _begun(name)
    made = 0
    for _ in range(100):
        made += _exchange(fleet, tours, rng, ENDLESS)
        anew = empty(fleet)
        days = days_of(tours)
        fill(fleet, anew, np.array([(v, j, i) for v in days for j, trip in enumerate(days[v]) for i in trip]))
        assert tours.totals[:2].tolist() == anew.totals[:2].tolist()
        assert _trips(tours) == _trips(anew)
    assert made > 5


def test_no_exchange_is_made_that_adds_more_than_it_may():
    fleet, tours, rng = _begun("windows-100.txt")
    costs = [_cost(tours)]
    for _ in range(100):
        _exchange(fleet, tours, rng, ENDLESS)
        costs.append(_cost(tours))
    assert max(costs) > costs[0]
    falling = [costs[-1]]
    while _exchange(fleet, tours, rng, 0.0):
        falling.append(_cost(tours))
    assert len(falling) > 1
    assert all(later < sooner for sooner, later in pairwise(falling))


def _begun(name):
    fleet = of_instance(read(INSTANCES / name))
    one = Search(fleet, 1)
    return fleet, one.now, one.rng


def _exchange(fleet, tours, rng, slack):
    touched, marked = np.zeros(len(fleet.kind), np.int32), np.zeros(len(fleet.kind), np.bool_)
    return exchange_tails(fleet, tours, rng, slack, touched, marked) == 2


def _cost(tours):
    return int(tours.totals[0])


def _trips(tours):
    """Return the orders of each trip, with its last order, size and free load."""
    kept = []
    for v, count in enumerate(tours.trip_count.tolist()):
        for t in tours.trips[v, :count].tolist():
            row, i, orders = tours.trip[t], tours.trip[t, HEAD], []
            while i:
                orders.append(int(i))
                i = tours.stop[i, NEXT]
            kept.append((v, orders, int(row[TAIL]), int(row[SIZE]), row[FREE_LOAD : FREE_LOAD + 2].tolist()))
    return kept
