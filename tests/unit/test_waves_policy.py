"""Wave policies: orders that are sent or kept, on reproducible market days."""

import subprocess
from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from services.dispatch.planning import checker
from services.dispatch.planning.problem import Window
from services.dispatch.planning.process import planner
from tests.bench.waves import policy
from tests.bench.waves.__main__ import KNOWN
from tests.bench.waves.market import HOUR, MINUTE, Market, market_day
from tests.bench.waves.policy import Conditional, Moment
from tests.bench.waves.simulate import Simulation, hindsight, planned
from tests.unit.planning_given import courier, order, problem

SMALL = Market(orders=80, couriers=4)
DAY, OTHERS = market_day(SMALL, 7), [market_day(SMALL, 100 + n) for n in range(3)]
NOON, HALF = 12 * HOUR, 12 * HOUR + 30 * MINUTE


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    subprocess.run(planner.COMPILER, check=True, capture_output=True)


def moment(*orders, futures=()):
    return Moment(NOON, HALF, problem(list(orders), [courier(from_s=NOON)]), futures)


def test_greedy_sends_what_is_here_and_lazy_what_can_not_wait():
    calm, tight = order("calm"), order("tight", windows=(Window(NOON, HALF + 10 * MINUTE),))
    coming, evening = order("coming", release_s=HALF), order("evening", windows=(Window(15 * HOUR, 16 * HOUR),))
    now = moment(calm, tight, coming, evening)
    assert policy.greedy(now) == {"calm", "tight"}
    assert policy.lazy(now) == {"tight"}


def test_what_has_time_is_kept_and_what_would_be_late_goes_with_its_trip():
    rule = Conditional()
    tight = order("tight", windows=(Window(NOON, HALF + 10 * MINUTE),))
    assert rule(moment(order("calm"))) == frozenset()
    assert rule(moment(tight)) == {"tight"}
    lot = [replace(tight, id=f"o{n}", place=replace(tight.place, lat=tight.place.lat + n / 100)) for n in range(3)]
    assert rule(moment(*lot)) >= {"o0", "o1", "o2"}


def test_where_couriers_are_short_nothing_waits():
    far = [order(f"far{n}", 28.24 + n / 20, windows=(Window(NOON, 14 * HOUR),)) for n in range(1, 9)]
    now = moment(order("calm"), futures=(tuple(far),) * 3)
    assert Conditional()(now) == {"calm"}


def test_the_stored_inputs_give_the_same_answer_again():
    kind = TypeAdapter(Moment)
    simulation = Simulation(DAY, policy.greedy, OTHERS)
    now = next(now for wave in DAY.waves if (now := simulation.moment(wave)).waiting)
    again = kind.validate_json(kind.dump_json(now))
    assert again == now
    assert Conditional()(again) == Conditional()(now)


def test_nobody_knows_an_order_or_an_arrival_before_its_time():
    simulation = Simulation(DAY, policy.greedy, OTHERS)
    for wave in DAY.waves:
        now = simulation.moment(wave)
        orders = {placed.order.id: placed for placed in DAY.placed}
        for one in now.problem.orders:
            placed = orders[one.id]
            assert placed.placed_s <= wave
            assert (one.release_s <= wave) == (placed.order.release_s <= wave)
            assert one.release_s <= wave or one.release_s in {placed.announced_s, now.next_s}


@pytest.mark.slow
def test_ours_is_cheaper_than_greedy_never_later_and_above_hindsight():
    greedy, ours = Simulation(DAY, policy.greedy).run(), Simulation(DAY, Conditional(futures=3), OTHERS).run()
    floor = hindsight(DAY)
    assert floor.fen < ours.fen < 0.95 * greedy.fen
    assert len(ours.late) + len(ours.missed) <= len(greedy.late) + len(greedy.missed)
    for made in (greedy, ours, floor):
        stops = [stop.order for one in made.driven for stop in one.trip.stops]
        assert len(stops) == len(set(stops)) == len(DAY.placed) - len(made.missed)
        ends: dict[str, int] = {}
        for one in sorted(made.driven, key=lambda one: one.trip.start_s):
            assert one.trip.start_s >= ends.get(one.courier, 0)
            ends[one.courier] = one.trip.end_s
    assert checker.faults(DAY.problem, planned(DAY.problem, 1, 500)) == []
    assert Simulation(DAY, policy.greedy).run().driven == greedy.driven


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 10])
@pytest.mark.slow
def test_nobody_is_late_on_days_whose_future_is_seen_only_by_many_examples(seed):
    market = Market()
    others = [market_day(market, KNOWN + n) for n in range(Conditional().futures)]
    made = Simulation(market_day(market, seed), Conditional(), others).run()
    assert (made.late, made.missed) == ((), ())
