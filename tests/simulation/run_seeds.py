"""Runs many seeds in several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass

from services.kit.process.main import collect_less
from tests.simulation.run import play


@dataclass
class Played:
    """Number of seeds and events, and the first seed that broke an invariant."""

    seeds: int = 0
    facts: int = 0
    first_broken: int | None = None


def play_many(seeds: Sequence[int], jobs: int) -> Played:
    """Play the seeds until one breaks an invariant; the distribution over processes changes no result."""
    total = Played()
    with multiprocessing.get_context("spawn").Pool(jobs, collect_less) as pool:
        for seed, facts, broken in pool.imap(_one, seeds, chunksize=5):
            total.seeds += 1
            total.facts += facts
            if broken:
                total.first_broken = seed
                break
    return total


def _one(seed: int) -> tuple[int, int, bool]:
    outcome = play(seed)
    return seed, outcome.facts, bool(outcome.invariant)
