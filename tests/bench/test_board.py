"""Tests of the lines that runs become."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from tests.bench import report
from tests.bench.score import Line, Rule, line

FIELDS = ["metric", "workload", "unit", "ours", "peer", "peer_name", "ratio", "bar", "held", "runs", "spread"]


def a_line(rule: Rule, bar: float | None, ours: list[float], violations: tuple[str, ...] = ()) -> Line:
    return line("chain", "spread", "orders/s", ours, [100.0, 90.0, 500.0], "monolith", rule, bar, violations)


def test_a_ratio_is_of_medians():
    found = a_line(Rule.RATIO_AT_LEAST, 1.5, [150.0, 160.0, 1.0])
    assert (found.ours, found.peer, found.ratio, found.held, found.runs) == (150, 100, 1.5, True, 3)


def test_a_latency_may_not_be_higher():
    assert a_line(Rule.RATIO_AT_MOST, 1.5, [150.0]).held
    assert not a_line(Rule.RATIO_AT_MOST, 1.5, [151.0]).held
    assert a_line(Rule.OURS_AT_MOST, 30, [30.0]).held


def test_wrong_books_score_nothing():
    for rule in (Rule.RATIO_AT_LEAST, Rule.RATIO_AT_MOST, Rule.OURS_AT_MOST):
        found = a_line(rule, 1000.0 if rule is not Rule.RATIO_AT_LEAST else 0.1, [100.0], ("one order is lost",))
        assert (found.ours, found.held) == (0, False)


def test_json_has_the_fields_that_others_read():
    assert list(json.loads(report.as_json(a_line(Rule.RATIO_AT_LEAST, 2, [100.0])))) == FIELDS


def test_the_chart_is_a_picture_of_every_bar():
    lines = [a_line(Rule.RATIO_AT_LEAST, 2, [400.0]), a_line(Rule.RATIO_AT_MOST, 2, [400.0])]
    lengths = [
        float(rect.attrib["width"])
        for rect in ElementTree.fromstring(report.svg(lines)).iter("{http://www.w3.org/2000/svg}rect")
        if rect.attrib["width"] != "100%"
    ]
    assert lengths == [280.0, 70.0]  # twice as good as its bar, and half as good
