"""Runs the fault matrix: `python -m tests.faults.matrix [NAMES]`, the program behind `halfday faults`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.faults.matrix import report
from tests.faults.matrix.catalogue import BY_NAME, FAULTS, POINTS, Fault
from tests.faults.matrix.judge import Row
from tests.faults.matrix.run import run


def main() -> int:
    """Return 0 only if every fault held and the audit of every stack passed."""
    parser = argparse.ArgumentParser(prog="halfday faults")
    parser.add_argument("names", nargs="*", help="names of faults (all)")
    parser.add_argument("--seconds", type=float, default=30.0, help="duration of each fault (30)")
    parser.add_argument("--report", type=Path, help="write FILE.md and FILE.json")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="seed of the clients and faults")
    parser.add_argument("--list", action="store_true", help="list the faults and crash points")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(f"{fault.name:>10}  {fault.description}" for fault in FAULTS))
        print(f"Crash points: {', '.join(POINTS)}")
        return 0
    if unknown := [name for name in arguments.names if not _chosen(name)]:
        print(f"unknown fault {', '.join(unknown)}; see ./halfday faults --list", file=sys.stderr)
        return 2
    faults = [fault for name in arguments.names or BY_NAME for fault in _chosen(name)]
    rows: list[Row] = []

    def on_row(one: Row) -> None:
        rows.append(one)
        say(report.line(one))
        for lines in one.broken.values():
            say("\n".join(f"    {line}" for line in lines))
        if arguments.report:
            report.write(arguments.report, rows)

    say(f"seed {arguments.seed}")
    findings = run(faults, arguments.seconds, arguments.seed, say, on_row)
    held = sum(one.ok for one in rows)
    say(f"{held} of {len(rows)} held{'; the audit of a stack failed' if findings else ''}")
    return 0 if held == len(rows) and not findings else 1


def _chosen(name: str) -> list[Fault]:
    """Return the faults of a name; a number alone names all that begin with it."""
    return [fault for fault in FAULTS if fault.name == name or fault.name.partition("-")[0] == name]


def say(text: str) -> None:
    """Print a line, unbuffered."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
