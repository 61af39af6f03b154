"""Plays seeds and shows the first that breaks an invariant: `python -m tests.simulation`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.run import Outcome, play
from tests.simulation.run_seeds import play_many


def main(arguments: list[str] | None = None) -> int:
    """Return 0 when every invariant held in every seed; otherwise 1, with trace, seed and invariant printed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this seed and show its trace")
    parser.add_argument("--sim", type=int, default=500, metavar="N", help="play N seeds (500)")
    parser.add_argument("--first", type=int, default=1, help="the first seed (1)")
    parser.add_argument("--jobs", type=int, default=2, help="number of processes (2)")
    parser.add_argument("--about", default="", help="show only trace lines that contain this, such as o7")
    arguments_given = parser.parse_args(arguments)
    if arguments_given.seed is not None:
        outcome = play(arguments_given.seed)
        print(outcome.trace.text(arguments_given.about))
        return _report(outcome)
    started = time.monotonic()
    played = play_many(range(arguments_given.first, arguments_given.first + arguments_given.sim), arguments_given.jobs)
    if played.first_broken is not None:
        outcome = play(played.first_broken)
        print(outcome.trace.text(arguments_given.about))
        return _report(outcome)
    print(f"{played.seeds} seeds, {played.facts} events: every invariant held ({time.monotonic() - started:.0f} s)")
    return 0


def _report(outcome: Outcome) -> int:
    if outcome.invariant:
        print(f"seed {outcome.seed}: BROKEN: {outcome.invariant}: {outcome.observed}")
        print(f"repeat: python -m tests.simulation --seed {outcome.seed}")
        return 1
    print(f"seed {outcome.seed}: every invariant held, {outcome.facts} events, {outcome.steps} steps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
