"""What the people of the day have done so far, for the progress shown and the figures at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stage:
    """A kind of deed: how many of how many are done; where it grows, how many is only known at the end."""

    total: int
    done: int = 0
    grows: bool = False


@dataclass(slots=True)
class Tally:
    """Counts of one played day.

    `absorbed`: repeats that were sent on purpose and answered as repeats, by what was repeated. `sent_away`: by
    good, customers at stalls who got nothing. `played_s`: real seconds that the day took; `waited_s`: those of them
    that its clock stood still, by what it waited for.
    """

    stages: dict[str, Stage] = field(default_factory=dict)
    absorbed: Counter[str] = field(default_factory=Counter)
    sent_away: Counter[str] = field(default_factory=Counter)
    played_s: float = 0.0
    waited_s: Mapping[str, float] = field(default_factory=dict)

    def plan(self, stage: str, total: int) -> None:
        """A stage with so much to do."""
        self.stages[stage] = Stage(total, grows=not total)

    def did(self, stage: str, count: int = 1) -> None:
        """So much more of a stage is done."""
        self.stages[stage].done += count
