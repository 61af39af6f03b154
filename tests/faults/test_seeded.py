"""Each bug that must never return has a test that builds it in and detects the damage: `halfday test --seeded`."""

import ast
from pathlib import Path

import pytest

BUGS = {
    "no inbox": "integration/test_inbox.py::test_seeded_a_missing_inbox_is_seen_to_double_effects",
    "cursor outbox": "integration/test_relay.py::test_seeded_a_cursor_relay_is_seen_to_lose_rows",
    "ack before commit": "integration/test_consumer.py::test_seeded_an_ack_before_the_commit_is_seen_to_lose_events",
    "no shortfall rule": "integration/test_inventory_stock.py::test_seeded_no_shortfall_rule",
    "expiry ignoring commit": "integration/test_inventory_stock.py::test_seeded_expiry_that_ignores_the_commit",
    "cancel out of order": "integration/test_seeded_orders.py::test_a_cancel_out_of_order_is_caught",
}


@pytest.mark.parametrize("place", BUGS.values(), ids=BUGS)
def test_a_seeded_bug_has_its_test(root: Path, place: str):
    file, name = place.split("::")
    tree = ast.parse((root / "tests" / file).read_text())
    found = [node for node in ast.walk(tree) if getattr(node, "name", "") == name]
    assert [ast.unparse(mark) for mark in found[0].decorator_list].count("pytest.mark.seeded") == 1
