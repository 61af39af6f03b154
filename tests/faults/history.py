"""History of client operations: one line before each request is sent, and one after its answer or time-out."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.audit.invariants.facts import HistoryEntry, Operation, Outcome


def digest(content: Any) -> str:
    """Return a digest of JSON content, independent of the order of keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:24]


class History:
    """Appends to a file of JSON lines; `unknowns` counts requests with an unknown outcome."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", buffering=1)
        self.unknowns = 0

    def invoke(self, operation: Operation, attempt: int, payload: Any) -> None:
        """Record that the request is about to be sent."""
        content = {"kind": operation.kind, "subject": operation.subject, "data": operation.data} if attempt == 1 else {}
        self._write("invoke", operation, attempt, hash=digest(payload), **content)

    def ok(self, operation: Operation, attempt: int, answer: Mapping[str, Any]) -> None:
        """Record that it succeeded."""
        self._write(Outcome.OK, operation, attempt, answer=answer)

    def fail(self, operation: Operation, attempt: int, answer: Mapping[str, Any]) -> None:
        """Record that it certainly had no effect."""
        self._write(Outcome.FAIL, operation, attempt, answer=answer)

    def unknown(self, operation: Operation, attempt: int, answer: Mapping[str, Any]) -> None:
        """Record that it may have had its effect; the line is on disk on return."""
        self._write(Outcome.UNKNOWN, operation, attempt, answer=answer)
        os.fsync(self._file.fileno())
        self.unknowns += 1

    def take_over(self, path: Path) -> None:
        """Append the history that another process recorded."""
        lines = path.read_text()
        self._file.write(lines)
        self.unknowns += lines.count(f'{{"event": "{Outcome.UNKNOWN}"')

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, event: str, operation: Operation, attempt: int, **more: Any) -> None:
        line = {"event": event, "op": operation.id, "try": attempt, "ns": time.monotonic_ns(), **more}
        self._file.write(json.dumps(line, default=str) + "\n")


def read(path: Path) -> list[HistoryEntry]:
    """Return every operation of the file in order of their start. An operation without an answer is unknown."""
    found: dict[str, HistoryEntry] = {}
    failed: set[str] = set()
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        id, event = entry["op"], entry["event"]
        if event == "invoke":
            if id not in found:
                found[id] = HistoryEntry(Operation(id, entry["kind"], entry["subject"], entry["data"]))
            found[id].tries += 1
        elif event == Outcome.OK:
            found[id].outcome, found[id].answer = Outcome.OK, entry["answer"]
        elif event == Outcome.FAIL:
            failed.add(id)
        else:
            found[id].unknowns += 1
    for id in failed:
        if not found[id].unknowns and found[id].outcome is not Outcome.OK:
            found[id].outcome = Outcome.FAIL
    return list(found.values())
