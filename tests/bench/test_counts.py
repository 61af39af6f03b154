"""Tests the counts of 1 000 orders against the committed ones; counts do not depend on the machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.orders.commands import place_orders
from tests.bench.counting import count_thousand_orders
from tests.stack import TestStack

BASELINE = Path(__file__).with_name("counts.json")
TOLERANCE = {"bytes on the wire": 0.05}
"""Ids and instants compress differently from run to run; all other counts have little reason to move."""


def grown(counts: dict[str, int], baseline: dict[str, int]) -> list[str]:
    """Return a description of each count above its baseline."""
    assert counts.keys() == baseline.keys()
    return [
        f"{name}: {counts[name]} per 1 000 orders, {was} before; if this is intended, update {BASELINE.name}"
        for name, was in baseline.items()
        if counts[name] > was * (1 + TOLERANCE.get(name, 0.02))
    ]


@pytest.mark.stack
async def test_a_thousand_orders_take_no_more_than_before(stack: TestStack, topics: str):
    counts = await count_thousand_orders(stack, topics)
    assert not grown(counts, json.loads(BASELINE.read_text())), counts


@pytest.mark.stack
@pytest.mark.seeded
async def test_smaller_groups_are_noticed(stack: TestStack, topics: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(place_orders, "GROUP", 10)
    counts = await count_thousand_orders(stack, topics, 200)
    found = grown(counts, json.loads(BASELINE.read_text()))
    assert any(line.startswith("commits") for line in found), counts
