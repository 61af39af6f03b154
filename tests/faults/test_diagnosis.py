"""The diagnosis of a stack: readable parts are shown, whatever state the others are in."""

from __future__ import annotations

import json
from pathlib import Path

from tests.faults.diagnosis import diagnose


async def test_a_part_that_cannot_be_read_leaves_the_others(tmp_path: Path):
    (tmp_path / "logs").mkdir()
    entry = {"level": "warning", "event": "relay restarts", "reason": "no broker", "timestamp": "T2"}
    lines = [entry, entry | {"timestamp": "T3"}, entry | {"level": "info", "event": "serving"}]
    (tmp_path / "logs" / "orders.worker.log").write_text("\n".join(["a cut line", *map(json.dumps, lines)]))
    (tmp_path / "logs" / "kafka.log").write_text("T1 INFO started\nT2 ERROR out of sync\n")

    found = await diagnose(tmp_path)

    assert "processes:\n  not readable: FileNotFoundError" in found
    assert "consumer groups:\n  not readable: StackError" in found
    assert "databases:\n  not readable: StackError" in found
    assert found.endswith(
        "last warnings:\n  kafka: T2 ERROR out of sync\n  orders.worker: T3 warning relay restarts no broker"
    )
