"""The handbook names only files and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lints import prose

ROOT = Path(__file__).parents[2]
PAGES = [path for path in prose.files() if path.suffix == ".md"]
SUITES = "unit|property|contract|integration|system|simulation|faults|bench"
TEST = re.compile(rf"`(?:tests/)?((?:{SUITES})/[\w/]*test_\w+)(?:\.py)?(?:::(test_\w+)(?:\.\.\.)?)?`")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_a_file(page: Path) -> None:
    links = LINK.findall(re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_named_tests_exist(page: Path) -> None:
    text = re.sub(r"`[^`]*` → ", "", page.read_text("utf-8"))  # the glossary's old names
    missing = []
    for file, function in TEST.findall(text):
        path = ROOT / "tests" / f"{file}.py"
        if not path.is_file() or (function and f"def {function}" not in path.read_text("utf-8")):
            missing.append(f"{file}.py::{function}" if function else f"{file}.py")
    assert missing == []


def test_named_test_functions_exist() -> None:
    files = list((ROOT / "tests").rglob("test_*.py"))
    known = {path.stem for path in files}
    known |= {name for path in files for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))}
    missing = []
    for page in PAGES:
        text = re.sub(r"`[^`]*` → ", "", page.read_text("utf-8"))
        for code in re.findall(r"`([^`\n]*test_[^`\n]*)`", text):
            for name, cut in re.findall(r"\b(test_\w+)(\.\.\.)?", code):
                if not (any(one.startswith(name) for one in known) if cut else name in known):
                    missing.append(f"{page.relative_to(ROOT)}: {name}")
    assert missing == []


def test_the_glossary_names_modules_that_exist() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8").split("### Modules")[1].split("### Further names")[0]
    missing = []
    for package, modules in re.findall(r"^\| `([\w/]+)` \| (`.*→.*) \|$", text, re.M):
        for new in re.findall(r"→ `([\w/]+)`", modules):
            found = [ROOT / package / new, ROOT / new]
            if not any(path.is_dir() or path.with_suffix(".py").is_file() for path in found):
                missing.append(f"{package}: {new}")
    assert "→" in text
    assert missing == []


def test_the_indexes_name_every_page() -> None:
    for folder in ("decisions", "experiments"):
        index = (ROOT / "docs" / folder / "README.md").read_text("utf-8")
        pages = {path.name for path in (ROOT / "docs" / folder).glob("*.md")} - {"README.md"}
        assert pages == set(re.findall(r"\]\(([\w-]+\.md)\)", index))


def test_every_promise_of_the_handbook_has_a_test_or_a_command() -> None:
    rows = [
        line.split("|")
        for line in (ROOT / "docs" / "guarantees.md").read_text("utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| Promise")
    ]
    assert len(rows) >= 19
    assert [promise for _, promise, proof, *_ in rows if not TEST.search(proof) and "./halfday" not in proof] == []
