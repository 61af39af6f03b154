"""An invariant: a pure function over facts that searches for counter-examples."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from deploy.audit.finding import Finding
from deploy.audit.invariants.facts import Facts

Check = Callable[..., Iterator[Finding]]


class Moment(StrEnum):
    """The moment from which it holds: after every commit, while no message is in flight, or when the day is over."""

    ALWAYS = "always"
    QUIET = "quiet"
    ENDED = "ended"


@dataclass(eq=False)
class Invariant:
    """A function and the moment from which it holds.

    Its parameters declare the facts that it needs, by the names of the fields of `Facts`; those with a default are used
    where they are known.
    """

    check: Check
    moment: Moment

    def __post_init__(self) -> None:
        parameters = inspect.signature(self.check).parameters.values()
        self.uses = tuple(one.name for one in parameters)
        self.needs = frozenset(one.name for one in parameters if one.default is one.empty)
        self.name = f"{self.check.__module__.rpartition('.')[2]}.{self.check.__name__}"

    def knows_enough(self, facts: Facts) -> bool:
        """Return True if all facts that it needs are known."""
        return all(getattr(facts, name) is not None for name in self.needs)

    def findings(self, facts: Facts) -> Iterator[Finding]:
        """Return the counter-examples; the facts that it needs must be known."""
        return self.check(**{name: getattr(facts, name) for name in self.uses})


INVARIANTS: dict[str, Invariant] = {}
"""Every invariant by its name, such as `orders.known`."""


def invariant(moment: Moment) -> Callable[[Check], Invariant]:
    """Register a function as an invariant."""

    def register(check: Check) -> Invariant:
        found = Invariant(check, moment)
        INVARIANTS[found.name] = found
        return found

    return register


def judge(facts: Facts, invariants: Iterable[Invariant] | None = None) -> list[Finding]:
    """Return the counter-examples to these invariants (default: all); those that need unknown facts are left out."""
    chosen = INVARIANTS.values() if invariants is None else invariants
    return [found for one in chosen if one.knows_enough(facts) for found in one.findings(facts)]
