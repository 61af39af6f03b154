"""Progress without a terminal: a line for each finished stage, and at most one in five seconds between them."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from deploy.scenarios.drivers.pace import Pace
from deploy.scenarios.drivers.tally import Tally
from deploy.scenarios.generator import make_day
from deploy.scenarios.load import load
from deploy.scenarios.outcome.observed import Observed
from deploy.scenarios.run import view
from services.kit.clock import ManualClock

DAY = make_day(load("market-day"), 1)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A view with a clock of its own, and the lines that it has printed."""
    now = SimpleNamespace(monotonic=lambda: now.at, at=0.0)
    monkeypatch.setattr(view, "time", now)
    text, world = io.StringIO(), SimpleNamespace(day=DAY, tally=Tally(), pace=Pace(ManualClock(DAY.at(600)), DAY))
    made = view.View(Console(file=text, width=200), world, Observed())  # type: ignore[arg-type]
    return SimpleNamespace(view=made, now=now, tally=world.tally, lines=lambda: text.getvalue().splitlines())


def test_a_stage_has_one_line_and_between_them_is_one_in_five_seconds(shown: Any):
    shown.tally.plan("lots", 3)
    shown.tally.plan("fetched", 0)
    for tick in range(240):  # a minute of looks, four a second
        shown.now.at = tick / 4
        if tick in {20, 40, 41}:
            shown.tally.did("lots")
        shown.view._show()
    assert [line for line in shown.lines() if "done" in line] == ["10:00  lots: 3 done"]
    assert 9 <= len(shown.lines()) <= 12 + 1


def test_what_grows_is_done_at_the_end(shown: Any):
    shown.tally.plan("fetched", 0)
    shown.tally.stages["fetched"].total += 2
    shown.tally.did("fetched", 2)
    shown.view._show()
    assert shown.lines() == []
    shown.view._show(at_the_end=True)
    assert shown.lines()[0] == "10:00  fetched: 2 done"
