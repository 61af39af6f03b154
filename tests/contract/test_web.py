"""The code of the screens: its types, its style and its own tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import node

pytestmark = pytest.mark.timeout(900)  # the first run fetches the packages


@pytest.fixture(scope="module")
def web(root: Path) -> Path:
    home = root / "services" / "web"
    node.link_packages(home)
    return home


@pytest.mark.parametrize(
    "words",
    [
        ("node_modules/typescript/bin/tsc", "--noEmit"),
        ("node_modules/@biomejs/biome/bin/biome", "check", "."),
        ("node_modules/vitest/vitest.mjs", "run"),
    ],
    ids=["types", "style", "tests"],
)
def test_the_code_of_the_screens(web: Path, words: tuple[str, ...]) -> None:
    node.run(web, *words)
