"""`python -m tests.simulation`: plays seeds, and shows the first that breaks something."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.run import Outcome, play
from tests.simulation.run_seeds import play_many


def main(arguments: list[str] | None = None) -> int:
    """0 when everything held in every seed; 1 with the trace, the seed, and the invariant that did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this one and show its trace")
    parser.add_argument("--sim", type=int, default=500, metavar="N", help="play N seeds (500)")
    parser.add_argument("--first", type=int, default=1, help="the first of them (1)")
    parser.add_argument("--jobs", type=int, default=2, help="processes to play them in (2)")
    parser.add_argument("--about", default="", help="only trace lines with this in them, such as o7")
    asked = parser.parse_args(arguments)
    if asked.seed is not None:
        outcome = play(asked.seed)
        print(outcome.trace.text(asked.about))
        return _tell(outcome)
    begun = time.monotonic()
    played = play_many(range(asked.first, asked.first + asked.sim), asked.jobs)
    if played.first_broken is not None:
        outcome = play(played.first_broken)
        print(outcome.trace.text(asked.about))
        return _tell(outcome)
    print(f"{played.seeds} seeds, {played.facts} events: everything held ({time.monotonic() - begun:.0f} s)")
    return 0


def _tell(outcome: Outcome) -> int:
    if outcome.invariant:
        print(f"seed {outcome.seed}: NOT HELD: {outcome.invariant}: {outcome.observed}")
        print(f"again: python -m tests.simulation --seed {outcome.seed}")
        return 1
    print(f"seed {outcome.seed}: everything held, {outcome.facts} events, {outcome.steps} steps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
