"""SECURITY.md says nothing that no test proves: each paragraph ends with tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROOF = re.compile(r" \((`tests/[\w/]+\.py`(?:, `tests/[\w/]+\.py`)*)\)\.$")


def claims(root: Path) -> list[str]:
    """The paragraphs about what is protected."""
    return [line for line in (root / "SECURITY.md").read_text("utf-8").splitlines() if line.startswith("- ")]


def faults(root: Path, claim: str) -> list[str]:
    """The reasons why a claim is not proved."""
    found = PROOF.search(claim)
    if found is None:
        return ["does not end with its tests"]
    files = [root / name for name in re.findall(r"`([^`]+)`", found[1])]
    return [f"{file} has no test" for file in files if not file.exists() or "def test_" not in file.read_text("utf-8")]


def test_each_paragraph_ends_with_its_tests(root: Path) -> None:
    assert len(claims(root)) > 30
    assert {claim: found for claim in claims(root) if (found := faults(root, claim))} == {}


def test_every_owasp_risk_that_has_tests_is_named(root: Path) -> None:
    page = (root / "SECURITY.md").read_text("utf-8")
    assert [file.name for file in (root / "tests/security").glob("test_api*.py") if file.name not in page] == []


@pytest.mark.parametrize(
    "claim",
    ["- All is safe.", "- All is safe (`tests/unit/test_nosuch.py`).", "- All is safe (`tests/unit/conftest.py`)."],
)
def test_a_claim_without_a_test_is_found(root: Path, claim: str) -> None:
    assert faults(root, claim)
