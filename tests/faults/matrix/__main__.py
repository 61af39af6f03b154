"""`python -m tests.faults.matrix [NAMES]`: what `halfday faults` runs."""

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
    """Exit code 0 only if every fault held and the books of every stack do."""
    parser = argparse.ArgumentParser(prog="halfday faults")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(f"{fault.name:>10}  {fault.description}" for fault in FAULTS))
        print(f"Crash points: {', '.join(POINTS)}")
        return 0
    if unknown := [name for name in arguments.names if not _chosen(name)]:
        print(f"There is no fault {', '.join(unknown)}; see: ./halfday faults --list", file=sys.stderr)
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
    say(f"{held} of {len(rows)} held{'; the books of a stack do not' if findings else ''}")
    return 0 if held == len(rows) and not findings else 1


def _chosen(name: str) -> list[Fault]:
    """The faults of a name; a number alone means all that begin with it."""
    return [fault for fault in FAULTS if fault.name == name or fault.name.partition("-")[0] == name]


def say(text: str) -> None:
    """A line, at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
