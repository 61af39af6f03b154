"""The evidence of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from deploy.audit.invariants.facts import Fact, Facts, History, HistoryEntry, Topics, Views


@dataclass(frozen=True)
class Evidence:
    """The clients' history, the topics and the views. `scarce`: items with more demand than stock."""

    entries: Sequence[HistoryEntry]
    log: Sequence[Fact]
    views: Views
    scarce: frozenset[str] = frozenset()

    @cached_property
    def topics(self) -> Topics:
        """Every event of the log, at its first occurrence."""
        return Topics(self.log)

    @property
    def facts(self) -> Facts:
        """The facts for the invariants."""
        return Facts(self.topics, history=History(self.entries), views=self.views)

    @property
    def duplicates(self) -> int:
        """Number of records that repeat an earlier event."""
        return len(self.topics.repeats)
