"""The README in two languages: the same sections, commands, links, promises and tests, so that neither falls behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ENGLISH, CHINESE = "README.md", "README.zh.md"


def outline(text: str) -> list[str]:
    """What must be the same in both: of each line its kind, of code its words."""
    found, fence = [], ""
    for line in text.splitlines():
        if line.startswith("```"):
            fence = "" if fence else line[3:] or "text"
            found.append(line)
        elif fence == "sh":
            found.append(line)
        elif heading := re.match(r"#+ ", line):
            found.append(heading[0])
        elif line.startswith(("| ", "- ")):
            found.append(line[:1] + " ".join(sorted(re.findall(r"\b[\w/]*test_\w+\.py", line))))
    return found


def links(text: str) -> set[str]:
    """Where its links go."""
    return set(re.findall(r"\]\(([^)]+)\)", text)) - {ENGLISH, CHINESE}


def test_both_readmes_say_the_same_things_in_the_same_order(root: Path) -> None:
    english, chinese = ((root / name).read_text("utf-8") for name in (ENGLISH, CHINESE))
    assert outline(chinese) == outline(english), "README.md and README.zh.md change together"
    assert links(chinese) == links(english)


@pytest.mark.parametrize("name", [ENGLISH, CHINESE])
def test_what_a_readme_names_is_there(name: str, root: Path) -> None:
    text = (root / name).read_text("utf-8")
    assert not [link for link in links(text) if "://" not in link and not (root / link).exists()]
    known = {path.name for path in (root / "tests").rglob("test_*.py")}
    assert set(re.findall(r"test_\w+\.py", text)) <= known
