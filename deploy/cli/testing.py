"""`halfday test`: what CI runs."""

import subprocess
import sys
from importlib.util import find_spec
from typing import Annotated

from cyclopts import Parameter

from deploy.local.errors import StackError
from deploy.local.services import ROOT

COMPILER = [sys.executable, "-m", "services.dispatch.planning.compiled"]
LINTS = (
    ("the format", ["-m", "ruff", "format", "--check", "."]),
    ("ruff", ["-m", "ruff", "check", "."]),
    ("the types", ["-m", "mypy"]),
    ("the floors of the house", ["-c", "from importlinter.cli import lint_imports_command as run; run()"]),
    ("our own rules", ["-m", "tests.lints"]),
)


def run_tests(
    *arguments: Annotated[str, Parameter(allow_leading_hyphen=True)], seeded: bool = False, sim: int = 0
) -> int:
    """Check the code, then run the whole suite; with pytest arguments run just pytest with these.

    Example: halfday test tests/unit -k outbox

    Parameters
    ----------
    arguments
        Given to pytest as they are.
    seeded
        Only the tests that break the product on purpose, each of which must see the damage.
    sim
        Only the simulation, with this many market days; a day that breaks something is shown with its seed.
    """
    if find_spec("pytest") is None:
        raise StackError("the test tools are not installed; run this through ./halfday in a checkout")
    if sim:
        return _run(["-m", "tests.simulation", "--sim", str(sim), *arguments])
    if seeded:
        arguments = ("-m", "seeded", *arguments)
    failed = [] if arguments else _lint()
    code = _run(["-m", "pytest", *arguments])
    if failed:
        print(f"Not clean: {', '.join(failed)}", file=sys.stderr)
        return code or 1
    return code


def _lint() -> list[str]:
    """What isn't clean. Meanwhile the other core compiles the planner's loops, so that no test waits for them."""
    with subprocess.Popen(COMPILER, cwd=ROOT):
        return [what for what, command in LINTS if not _passes(what, command)]


def _passes(what: str, command: list[str]) -> bool:
    print(f"Checking {what} ...", flush=True)
    return _run(command) == 0


def _run(command: list[str]) -> int:
    return subprocess.run([sys.executable, *command], cwd=ROOT, check=False).returncode
