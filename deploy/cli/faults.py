"""`halfday faults`: the fault matrix and the soak, on demand."""

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
    help="""Break the house on purpose, under load, and judge what is left.

Each fault takes about a minute. Exit code 0 only if all held, and the audit of each stack does.

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
    """Inject faults under load into a stack of its own, each then judged by every invariant.

    Parameters
    ----------
    names
        Which faults; all if none is named. `2` is all crash points.
    seconds
        How long each lasts at least.
    report
        Markdown file to write, and the same as JSON beside it; what it says of other faults stays.
    seed
        Who orders what, and what is hit when; the time if not given.
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
    """Load for long, with a kill -9 now and then: memory of every process over time, and nothing lost.

    Example: halfday faults soak --minutes 10 --rate 200 --kill-every 20

    Parameters
    ----------
    minutes
        How long.
    rate
        Orders per second.
    kill_every
        Seconds from one kill to the next.
    report
        Markdown file to write, and the same as JSON beside it.
    """
    words = ["--minutes", str(minutes), "--rate", str(rate), "--kill-every", str(kill_every)]
    return _run("tests.faults.matrix.soak", words + (["--report", str(report.absolute())] if report else []))


def _run(module: str, words: list[str]) -> int:
    if find_spec("pytest") is None:
        raise StackError("the test tools are not installed; run this through ./halfday in a checkout")
    return subprocess.run([sys.executable, "-m", module, *words], cwd=ROOT, check=False).returncode
