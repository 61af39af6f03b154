"""Reads a scenario's files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deploy.scenarios.model import Scenario

HERE = Path(__file__).parent


class ScenarioError(Exception):
    """A scenario can't be read; the text says which file or field and why."""


def names() -> list[str]:
    """The scenarios that come with the project."""
    return sorted(file.parent.name for file in HERE.glob("*/day.toml"))


def load(name: str) -> Scenario:
    """The scenario of that name: all its TOML files together. Raises `ScenarioError`."""
    files = sorted((HERE / name).glob("*.toml")) if name in names() else []
    if not files:
        raise ScenarioError(f"no scenario {name!r}; there are: {', '.join(names())}")
    content: dict[str, Any] = {"name": name}
    for file in files:
        content |= tomllib.loads(file.read_text(encoding="utf-8"))
    try:
        return Scenario.model_validate(content)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        raise ScenarioError(f"scenario {name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
