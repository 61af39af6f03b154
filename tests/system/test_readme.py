"""The README's first calls, run as they are written against the stack that the demo leaves."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.services import ROOT

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def block(text: str) -> str:
    """Return the shell lines under the heading about curl."""
    found = re.search(r"^## [^\n]*curl[^\n]*\n\n```sh\n(.*?)^```", text, re.M | re.S)
    assert found, "the README has lost its section about curl"
    return found[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A folder where `./halfday` is this checkout's, past the launcher; its stack ends with it."""
    launcher = tmp_path / "halfday"
    launcher.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m deploy.cli "$@"\n')
    launcher.chmod(0o755)
    yield tmp_path
    subprocess.run([launcher, "down"], cwd=tmp_path, check=True, capture_output=True, timeout=120)


def last_answer(line: str) -> dict[str, Any]:
    """Return the last of the JSON objects on a line: curl prints each attempt's body, then one line end."""
    answer, end = json.JSONDecoder().raw_decode(line)
    return last_answer(line[end:]) if line[end:] else answer


def call(lines: str, folder: Path) -> list[dict[str, Any]]:
    """Run shell lines there; return the JSON object that each call ended with."""
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(["sh", "-e"], input=lines, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [last_answer(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_a_call_that_was_tried_again_ends_with_its_last_answer() -> None:
    assert last_answer('{"status":503}{"status":503}{"state":"received"}') == {"state": "received"}


def test_the_readmes_first_calls_do_what_it_says(checkout: Path) -> None:
    lines = block((ROOT / "README.md").read_text("utf-8"))
    price, day, lot, inspected, placed, order = call(lines, checkout)
    assert price["price_fen"] == 6800
    assert (day["id"], day["version"]) == ("mine", 1)
    assert (lot["state"], inspected["state"], inspected["on_hand"]) == ("received", "released", 20)
    assert (placed["state"], placed["total_fen"]) == ("placed", 13600)
    assert (order["state"], order["code"]) == ("reserved", placed["code"])
    _, _, eval_and_calls = lines.partition("\n")  # the demo is not played again
    assert call(eval_and_calls, checkout)[-1] == order
