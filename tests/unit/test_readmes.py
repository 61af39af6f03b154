"""README.md and README.zh.md have the same structure, stay short, and name only commands and files that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from deploy.cli.__main__ import COMMANDS, application

ENGLISH, CHINESE = "README.md", "README.zh.md"
MOST_LINES = 130


def outline(text: str) -> list[str]:
    """Return the common parts of both languages: headings, table rows, list items, images, code without comments."""
    found, fence = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            fence = not fence
            found.append(line)
        elif fence:
            folder = re.match(r"[a-z/]+/ ", line)
            found.append(folder[0] if folder else re.sub(r"(^|\s+)# .*", "", line))
        elif kind := re.match(r"#+ |\| |- |!\[", line):
            found.append(kind[0])
    return found


def links(text: str) -> list[str]:
    """Return the targets of the links in order, without those to the other language."""
    return [link for link in re.findall(r"\]\(([^)]+)\)", text) if link not in (ENGLISH, CHINESE)]


def test_both_readmes_have_the_same_structure(root: Path) -> None:
    english, chinese = ((root / name).read_text("utf-8") for name in (ENGLISH, CHINESE))
    assert outline(chinese) == outline(english), "README.md and README.zh.md change together"
    assert links(chinese) == links(english)


@pytest.mark.parametrize("name", [ENGLISH, CHINESE])
def test_a_readme_is_short_and_its_links_lead_to_a_file(name: str, root: Path) -> None:
    text = (root / name).read_text("utf-8")
    assert text.count("\n") <= MOST_LINES
    assert [link for link in links(text) if "://" not in link and not (root / link).exists()] == []


def test_every_command_is_understood(root: Path) -> None:
    typed = re.findall(r"\./halfday [a-z][^\n`#)]*", (root / ENGLISH).read_text("utf-8"))
    assert len(typed) > 10
    for line in typed:
        words = shlex.split(line)[1:]
        assert words[0] in {name for name, _, _ in COMMANDS}, line
        application(words[0]).parse_args(words, exit_on_error=False, print_error=False)


def test_the_layout_names_every_folder(root: Path) -> None:
    text = (root / ENGLISH).read_text("utf-8")
    listed = set(re.findall(r"^([a-z/]+/) ", text, re.M))
    folders = {"contracts/", "deploy/", "docs/", "tests/"}
    has_code = [*root.glob("services/*/__init__.py"), *root.glob("services/*/package.json")]
    folders |= {f"services/{path.parent.name}/" for path in has_code}
    assert listed == folders
