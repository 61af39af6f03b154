"""`halfday test --fast`: what it selects."""

import json
import subprocess
import sys
from pathlib import Path

from deploy.cli.testing import CHECKS, FAST

PROGRAM = """
import json, sys, pytest

def starts(item):
    # Whether the test uses the run's Kafka and PostgreSQL, and not a fixture of its own with that name.
    found = item._fixtureinfo.name2fixturedefs.get("stack")
    return bool(found) and found[-1].func.__module__ == "tests.conftest"


class Seen:
    def pytest_collection_finish(self, session):
        tests = [(item.nodeid, [mark.name for mark in item.iter_markers()], starts(item)) for item in session.items]
        open(sys.argv[1], "w").write(json.dumps(tests))

sys.exit(pytest.main([*json.loads(sys.argv[2]), "--collect-only", "-q"], plugins=[Seen()]))
"""


def test_the_fast_selection_is_every_kind_of_test_that_needs_no_stack(root: Path, tmp_path: Path) -> None:
    folders: set[str] = set()
    for command in FAST.values():
        assert command[:2] == ["-m", "pytest"]
        found = tmp_path / "found.json"
        arguments = [sys.executable, "-c", PROGRAM, str(found), json.dumps(command[2:])]
        subprocess.run(arguments, cwd=root, check=True, capture_output=True)
        tests = json.loads(found.read_text())
        assert [id for id, marks, starts in tests if starts or {"stack", "long", "slow"} & {*marks}] == []
        folders |= {id.split("/")[1] for id, _, _ in tests}
    assert folders == {"unit", "property", "contract", "security"}


def test_the_fast_run_has_lints_and_types() -> None:
    programs = {command[1] for command in CHECKS.values()}
    assert programs >= {"ruff", "tests.lints", "mypy"}
