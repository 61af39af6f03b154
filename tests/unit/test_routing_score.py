"""The scores of `halfday bench routing`: gaps, means by family and bars."""

from dataclasses import replace

import pytest

from tests.bench.routing.literature import Instance, Stop
from tests.bench.routing.score import Run, completed, scores
from tests.bench.routing.solvers import Answer

LINE = Instance("line", 2, 9, tuple(Stop(x, 0, int(x > 0), 0, 1000, 0, 0) for x in (0, 10, 20)), reloads=False, unit=10)
SHORT, LONG, BROKEN = [[1, 2]], [[1], [2]], [[1]]


def run(solver: str, routes: list[list[int]], best: float | None = None) -> Run:
    return Run(solver, replace(LINE, best_known=best), 2.0, 1, Answer(routes, 2.0))


def test_gaps_are_above_the_best_known_cost_or_else_the_cheapest_of_the_runs():
    (known,) = scores(completed([run("ours", LONG, 20.0), run("peer", SHORT, 20.0)]))
    assert (known.ours, known.peer) == pytest.approx((200, 100))
    (unknown,) = scores(completed([run("ours", LONG), run("peer", SHORT)]))
    assert (unknown.ours, unknown.peer, unknown.worst) == pytest.approx((50, 0, 50))


def test_an_answer_that_breaks_a_rule_is_not_held_nor_the_cheapest():
    (score,) = scores(completed([run("ours", BROKEN), run("peer", SHORT)]))
    assert not score.held
    assert score.peer == 0
