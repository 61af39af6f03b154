"""`halfday bench`: this project measured beside its peers."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from deploy.local.errors import StackError
from deploy.local.services import ROOT

PLANNING = ("routing", "late", "waves")
"""What `python -m tests.bench.NAME` measures by itself, with options of its own."""


def bench(
    *names: Annotated[str, Parameter(allow_leading_hyphen=True)],
    quick: bool = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    svg: Path | None = None,
) -> int:
    """Measure this project beside what a good team would write otherwise, in turns, on real Kafka and PostgreSQL.

    accept, accept-batch, chain, chain-hot, latency: orders. relay, relay-lag, consumer, reserve, catch-up: messages.
    footprint: memory. routing, late, waves: the planner, one of them alone, with its own options. None named: all of
    orders, messages and memory, about 15 minutes. Exit code 0 when every bar is held. tests/bench/README.md has more.

    Example: halfday bench chain latency --quick

    Parameters
    ----------
    names
        What to measure.
    quick
        Fewer runs and orders: rough figures.
    as_json
        One JSON object a line instead of the table.
    svg
        Also draw the scoreboard there.
    """
    if find_spec("pytest") is None:
        raise StackError("the benchmarks need the test tools; run this through ./halfday in a checkout")
    options = ["--quick"] * quick + ["--json"] * as_json + (["--svg", str(svg.absolute())] if svg else [])
    module = f"tests.bench.{names[0]}" if names and names[0] in PLANNING else "tests.bench"
    rest = names[1:] if module != "tests.bench" else names
    return subprocess.run([sys.executable, "-m", module, *rest, *options], cwd=ROOT, check=False).returncode
