"""Counts of the actors' finished work, for the progress display and the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stage:
    """A kind of work: `done` of `total`; if it `grows`, the total is known only at the end."""

    total: int
    done: int = 0
    grows: bool = False


@dataclass(slots=True)
class Tally:
    """Counts of one day.

    `absorbed`: deliberate repeats that were answered as repeats, by kind. `sent_away`: by good, stall customers who got
    nothing. `played_s`: real seconds of the day; `waited_s`: those during which its clock waited, by reason.
    """

    stages: dict[str, Stage] = field(default_factory=dict)
    absorbed: Counter[str] = field(default_factory=Counter)
    sent_away: Counter[str] = field(default_factory=Counter)
    played_s: float = 0.0
    waited_s: Mapping[str, float] = field(default_factory=dict)

    def plan(self, stage: str, total: int) -> None:
        """Add a stage with that much work."""
        self.stages[stage] = Stage(total, grows=not total)

    def did(self, stage: str, count: int = 1) -> None:
        """Count finished work of a stage."""
        self.stages[stage].done += count
