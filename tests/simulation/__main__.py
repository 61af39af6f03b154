"""`python -m tests.simulation`: plays seeds, and shows the first that breaks something."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.run import play


def main() -> int:
    """0 when everything held in every seed; 1 with the seed, the invariant and the trace."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this one and show its trace")
    parser.add_argument("--sim", type=int, default=500, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--about", default="", help="only trace lines that have this in them, such as o7")
    asked = parser.parse_args()
    seeds = [asked.seed] if asked.seed is not None else range(asked.first, asked.first + asked.sim)
    begun = time.process_time()
    for seed in seeds:
        outcome = play(seed)
        if asked.seed is not None or outcome.invariant:
            print(outcome.trace.text(asked.about))
        if outcome.invariant:
            print(f"seed {seed}: NOT HELD: {outcome.invariant}: {outcome.seen}")
            return 1
    print(f"{len(seeds)} seeds: everything held ({time.process_time() - begun:.1f} s of CPU)")
    if asked.seed is not None:
        print(outcome.counts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
