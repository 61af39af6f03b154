"""`halfday test`: the checks and tests of CI."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import IO, Annotated

from cyclopts import Parameter, validators

from deploy.local.errors import StackError
from deploy.local.services import ROOT

Job = tuple[IO[str], subprocess.Popen[bytes]]
NICE = 5
"""Gives the tests on the real stack precedence: some of them have timeouts of seconds."""
COMPILER = ["-m", "services.dispatch.planning.search.compile"]
ON_THE_STACK = ["-m", "pytest", "-m", "stack and not long"]
CHECKS = {
    "format": ["-m", "ruff", "format", "--check", "."],
    "ruff": ["-m", "ruff", "check", "."],
    "project lints, prose included": ["-m", "tests.lints"],
    "import contracts": ["-c", "from importlinter.cli import lint_imports_command as run; run()"],
    "types": ["-m", "mypy"],
}
WITHOUT_STACK = {"tests without a stack": ["-m", "pytest", "-m", "not stack and not long"]}
FAST = {
    "unit tests": ["-m", "pytest", "-m", "not stack and not long and not slow", "tests/unit"],
    "property, contract and security tests": [
        "-m",
        "pytest",
        "-m",
        "not stack and not long and not slow",
        "tests/property",
        "tests/contract",
        "tests/security",
    ],
}
"""Two jobs of about equal length, for two cores."""


def run_tests(
    *arguments: Annotated[str, Parameter(allow_leading_hyphen=True)],
    fast: bool = False,
    seeded: bool = False,
    sim: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 0,
) -> int:
    """Check format, lints, prose, import contracts and types, then run all tests; with arguments run only pytest.

    Example: halfday test tests/unit -k outbox

    Parameters
    ----------
    arguments
        Arguments for pytest.
    fast
        Only the quick checks without Kafka and PostgreSQL: lints, types, unit, property and contract tests.
    seeded
        Only tests that break the product on purpose and must notice it.
    sim
        Only the simulation, with this many market days; a failing day is shown with its seed.
    """
    if find_spec("pytest") is None:
        raise StackError("the test tools are not installed; run this through ./halfday in a checkout")
    if fast and not arguments:
        return _run_fast()
    if sim:
        return _run(["-m", "tests.simulation", "--sim", str(sim), *arguments])
    if seeded:
        arguments = ("-m", "seeded", *arguments)
    return _run(["-m", "pytest", *arguments]) if arguments else _run_all()


def _run_all() -> int:
    """Run two jobs in parallel: the tests on the real stack, which mostly wait, and everything else, at lower priority.
    The output of the first one is kept until the other has ended.
    """
    with _started({"tests on the real stack": ON_THE_STACK}) as jobs:
        os.nice(NICE)
        _run(COMPILER)  # so that no test waits for it; if it fails, another search is used
        return _report(CHECKS | WITHOUT_STACK, jobs)


def _run_fast() -> int:
    _run(COMPILER)
    with _started(FAST) as jobs:
        return _report(CHECKS, jobs)


@contextmanager
def _started(commands: Mapping[str, list[str]]) -> Iterator[dict[str, Job]]:
    """Start the commands in parallel; their output is kept until it is printed."""
    with ExitStack() as ending:
        jobs: dict[str, Job] = {}
        for name, command in commands.items():
            written = ending.enter_context(tempfile.NamedTemporaryFile("w"))
            output = ending.enter_context(open(written.name))
            child = subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=written, stderr=written)
            jobs[name] = (output, ending.enter_context(child))
        yield jobs


def _report(checks: Mapping[str, list[str]], jobs: Mapping[str, Job]) -> int:
    """Run the checks one after the other, then print the output of each job; return an exit code."""
    failed = [name for name, command in checks.items() if not _passes(name, command)]
    for name, (output, child) in jobs.items():
        print(f"Checking {name}, started at the same time ...", flush=True)
        _follow(output, child)
        if child.returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _follow(output: IO[str], child: subprocess.Popen[bytes]) -> None:
    """Print the file, and what the process appends to it until it ends."""
    ended = False
    while not ended:
        ended = child.poll() is not None
        print(output.read(), end="", flush=True)
        if not ended:
            time.sleep(0.5)


def _passes(name: str, command: list[str]) -> bool:
    print(f"Checking {name} ...", flush=True)
    return _run(command) == 0


def _run(command: list[str]) -> int:
    return subprocess.run([sys.executable, *command], cwd=ROOT, check=False).returncode
