"""`halfday test`: what CI runs."""

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

Lane = tuple[IO[str], subprocess.Popen[bytes]]
NICE = 5
"""So that the tests on the real stack, some of which wait for seconds only, go first."""
COMPILER = ["-m", "services.dispatch.planning.search.compile"]
ON_THE_STACK = ["-m", "pytest", "-m", "stack and not long"]
CHECKS = {
    "the format": ["-m", "ruff", "format", "--check", "."],
    "ruff": ["-m", "ruff", "check", "."],
    "our own rules": ["-m", "tests.lints"],
    "the floors of the house": ["-c", "from importlinter.cli import lint_imports_command as run; run()"],
    "the types": ["-m", "mypy"],
}
WITHOUT_STACK = {"the tests without a stack": ["-m", "pytest", "-m", "not stack and not long"]}
FAST = {
    "the unit tests": ["-m", "pytest", "-m", "not stack and not long and not slow", "tests/unit"],
    "the property and contract tests": [
        "-m",
        "pytest",
        "-m",
        "not stack and not long and not slow",
        "tests/property",
        "tests/contract",
    ],
}
"""Of about equal length, for two cores."""


def run_tests(
    *arguments: Annotated[str, Parameter(allow_leading_hyphen=True)],
    fast: bool = False,
    seeded: bool = False,
    sim: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 0,
) -> int:
    """Check the code, then run the whole suite; with pytest arguments run just pytest with these.

    Example: halfday test tests/unit -k outbox

    Parameters
    ----------
    arguments
        Given to pytest as they are.
    fast
        Only what needs no Kafka and no PostgreSQL and is soon done: lints, types, unit, property and contract tests.
    seeded
        Only the tests that break the product on purpose, each of which must see the damage.
    sim
        Only the simulation, with this many market days; a day that breaks something is shown with its seed.
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
    """Two lanes side by side, for tests on the real stack mostly wait: those in one, all that needs no stack in the
    other, which yields to them. The first one's words are kept until the other is through.
    """
    with _begun({"the tests on the real stack": ON_THE_STACK}) as lanes:
        os.nice(NICE)
        _run(COMPILER)  # so that no test waits for it; where it can't be done, another search stands in
        return _judge(CHECKS | WITHOUT_STACK, lanes)


def _run_fast() -> int:
    _run(COMPILER)
    with _begun(FAST) as lanes:
        return _judge(CHECKS, lanes)


@contextmanager
def _begun(commands: Mapping[str, list[str]]) -> Iterator[dict[str, Lane]]:
    """Start the commands side by side; their words are kept until they are shown."""
    with ExitStack() as ending:
        lanes: dict[str, Lane] = {}
        for what, command in commands.items():
            written = ending.enter_context(tempfile.NamedTemporaryFile("w"))
            told = ending.enter_context(open(written.name))
            child = subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=written, stderr=written)
            lanes[what] = (told, ending.enter_context(child))
        yield lanes


def _judge(checks: Mapping[str, list[str]], lanes: Mapping[str, Lane]) -> int:
    """Run the checks one after the other, then show each lane to its end; return an exit code."""
    failed = [what for what, command in checks.items() if not _passes(what, command)]
    for what, (told, child) in lanes.items():
        print(f"Checking {what}, which began at the same time ...", flush=True)
        _follow(told, child)
        if child.returncode:
            failed.append(what)
    if failed:
        print(f"Not clean: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _follow(told: IO[str], child: subprocess.Popen[bytes]) -> None:
    """Prints what stands in the file and what the process adds to it, until it ends."""
    ended = False
    while not ended:
        ended = child.poll() is not None
        print(told.read(), end="", flush=True)
        if not ended:
            time.sleep(0.5)


def _passes(what: str, command: list[str]) -> bool:
    print(f"Checking {what} ...", flush=True)
    return _run(command) == 0


def _run(command: list[str]) -> int:
    return subprocess.run([sys.executable, *command], cwd=ROOT, check=False).returncode
