"""`halfday bench`: compares this project with its alternatives, or with another commit."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from deploy.local.errors import StackError
from deploy.local.services import ROOT

PLANNING = ("routing", "late", "waves")
"""Benchmarks with a module of their own, `python -m tests.bench.NAME`, and their own options."""


def bench(
    *names: Annotated[str, Parameter(allow_leading_hyphen=True)],
    quick: bool = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    svg: Path | None = None,
    against: Annotated[str, Parameter(show_default=False)] = "",
    rounds: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 3,
) -> int:
    """Measure this project and the alternatives a team would write instead, in turns, on real Kafka and PostgreSQL.

    Orders: accept, accept-batch, chain, chain-hot, latency. Messages: relay, relay-lag, consumer, reserve, catch-up.
    Resources: footprint (memory), counts (statements, commits and bytes per 1 000 orders). Planner: routing, late or
    waves, one at a time, with its own options. Without NAMES: all but the planner, about 15 minutes. Exit code 0 when
    every bar is held. See tests/bench/README.md.

    With --against: measure this tree, uncommitted changes included, and another commit in turns with short settings,
    and print the ratios with their spread. Without NAMES: counts, accept, accept-batch, chain, relay, consumer,
    reserve; about 15 minutes. Exit code 0 when no figure is more than 10 % worse.

    Example: halfday bench chain latency --quick

    Example: halfday bench accept relay --against main --rounds 5

    Parameters
    ----------
    names
        Benchmarks to run.
    quick
        Fewer runs and orders: rough figures.
    as_json
        One JSON object per line instead of the table.
    svg
        Also draw the scoreboard as a picture in this file.
    against
        Commit to compare with: a hash, a branch, a tag or such as HEAD~1.
    rounds
        With --against: runs of each tree.
    """
    if find_spec("pytest") is None:
        raise StackError("the benchmarks need the test tools; run this through ./halfday in a checkout")
    if against:
        if quick or as_json or svg:
            raise StackError("--against cannot be combined with --quick, --json or --svg: it has its own settings")
        return _run("tests.bench.against", "--rounds", str(rounds), "--", against, *names)
    options = ["--quick"] * quick + ["--json"] * as_json + (["--svg", str(svg.absolute())] if svg else [])
    module = f"tests.bench.{names[0]}" if names and names[0] in PLANNING else "tests.bench"
    rest = names[1:] if module != "tests.bench" else names
    return _run(module, *rest, *options)


def _run(module: str, *arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, check=False).returncode
