"""The trace of a run in readable lines: the same for the same seed, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from contracts.values import job_of, reservation_of
from deploy.audit.invariants.facts import Fact
from tests.simulation.scheduler import Scheduler

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Trace:
    """Notes with their time; formatted only when they are read."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._notes: list[tuple[float, str, str, tuple[Any, ...]]] = []
        self._names: dict[str, str] = {}

    def note(self, who: str, what: str, *values: Any) -> None:
        self._notes.append((self._scheduler.now, who, what, values))

    def published(self, service: str, fact: Fact) -> None:
        """Note a committed event or command."""
        self.note(service, "    publishes %s of %s (%d) %s", fact.type, fact.subject, fact.seq, fact.id)

    def name(self, id: UUID, name: str) -> None:
        """Set the readable name of an id."""
        self._names[str(id)] = name

    def name_order(self, id: UUID, name: str, pool: str) -> None:
        """Name an order with its reservations and jobs."""
        self.name(id, name)
        for attempt in (1, 2):
            reservation = reservation_of(id, pool, attempt)
            self.name(reservation, f"{name}.r{attempt}")
            self.name(job_of(id, reservation), f"{name}.j{attempt}")

    def text(self, about: str = "") -> str:
        """Return all lines, or those that contain `about`."""
        lines = (self._line(*note) for note in self._notes)
        return "\n".join(line for line in lines if about in line)

    def kinds(self) -> Iterator[str]:
        """Yield the format of each note, without its values."""
        return (what for _, _, what, _ in self._notes)

    def crashes(self) -> Iterator[str]:
        """Yield the crash points at which a process died."""
        return (values[0] for _, who, _, values in self._notes if who == "crash")

    def readable(self, text: str) -> str:
        """Return the text with ids replaced by their names."""
        return _UUID.sub(lambda found: self._names.get(found[0], found[0][-6:]), text)

    def _line(self, when: float, who: str, what: str, values: tuple[Any, ...]) -> str:
        return self.readable(f"{when:10.3f} {who:17} {what % values if values else what}")
