"""`halfday faults`: the fault matrix and the soak test, on demand."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter, validators

from deploy.local.errors import StackError
from deploy.local.services import ROOT

Positive = Annotated[float, Parameter(validator=validators.Number(gt=0))]

app = App(
    help="""Inject faults under load and verify the invariants.

Each fault takes about a minute. Exit code 0 only if every invariant and every audit passed.

Example: halfday faults 16 2-out --report faults.md""",
    help_format="plaintext",
)


@app.default
def faults(
    *names: str,
    seconds: Positive = 30.0,
    report: Path | None = None,
    seed: int | None = None,
    show: Annotated[bool, Parameter(name="--list", negative="")] = False,
) -> int:
    """Inject faults under load, each into a stack of its own, and check every invariant after each.

    Parameters
    ----------
    names
        Faults to inject; without names all. `2` means all crash points.
    seconds
        Shortest duration of each.
    report
        Markdown file to write, with JSON beside it; its lines about other faults stay.
    seed
        Seed of orders and fault times; by default from the clock.
    show
        Only list the faults and crash points.
    """
    words = [*names, "--seconds", str(seconds)]
    words += ["--report", str(report.absolute())] if report else []
    words += ["--seed", str(seed)] if seed is not None else []
    return _run("tests.faults.matrix", words + (["--list"] if show else []))


@app.command
def soak(
    *, minutes: Positive = 10.0, rate: Positive = 200.0, kill_every: Positive = 20.0, report: Path | None = None
) -> int:
    """Long load with kill -9 now and then: checks each process's memory over time and that no record is lost.

    Example: halfday faults soak --minutes 10 --rate 200 --kill-every 20

    Parameters
    ----------
    minutes
        Duration.
    rate
        Orders per second.
    kill_every
        Seconds between kills.
    report
        Markdown file to write, with JSON beside it.
    """
    words = ["--minutes", str(minutes), "--rate", str(rate), "--kill-every", str(kill_every)]
    return _run("tests.faults.matrix.soak", words + (["--report", str(report.absolute())] if report else []))


def _run(module: str, words: list[str]) -> int:
    if find_spec("pytest") is None:
        raise StackError("the test tools are not installed; run this through ./halfday in a checkout")
    return subprocess.run([sys.executable, "-m", module, *words], cwd=ROOT, check=False).returncode
