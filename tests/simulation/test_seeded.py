"""Tests that the simulation detects ten well-known bugs, which the checks do not know: an invariant names each."""

from __future__ import annotations

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.run import play

SEEDS = 200
"""Enough for every bug: most are detected within five seeds, the last one at the 13th."""


@pytest.mark.seeded
@pytest.mark.parametrize("bug", sorted(BUGS))
def test_an_invariant_names_the_bug(bug: str):
    outcomes = (play(seed, bugs=BUGS[bug]()) for seed in range(1, SEEDS + 1))
    first = next((outcome for outcome in outcomes if outcome.invariant), None)
    assert first is not None, f"{bug} was not seen in {SEEDS} seeds"
    assert play(first.seed).invariant == "", "without the bug the same day is fine"
