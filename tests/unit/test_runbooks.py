"""The commands of the runbooks are valid, and the metrics and files that they name exist."""

import re
import shlex
from pathlib import Path

import pytest

from deploy.cli.__main__ import COMMANDS, application

RUNBOOKS = sorted((Path(__file__).parents[2] / "deploy" / "runbooks").glob("*.md"))
NEEDED = {"lag", "dead-letters", "dead-producer", "full-disk", "partition-growth"}
TYPED = re.compile(r"\./halfday [^\n`&|;]+")


def test_there_is_one_for_each_trouble() -> None:
    assert {path.stem for path in RUNBOOKS} >= NEEDED | {"README"}
    index = (RUNBOOKS[0].parent / "README.md").read_text()
    assert all(f"({path.name})" in index for path in RUNBOOKS if path.stem != "README")


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_every_command_is_understood(path: Path) -> None:
    typed = TYPED.findall(path.read_text())
    assert typed
    for line in typed:
        words = shlex.split(line, comments=True)[1:]
        assert words[0] in {name for name, _, _ in COMMANDS}, line
        function, _, _ = application(words[0]).parse_args(words, exit_on_error=False, print_error=False)
        assert callable(function)


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([\w.-]+\.md)\)", path.read_text())
    assert [link for link in links if not (path.parent / link).is_file()] == []
