"""What a run ends with when an invariant does not hold."""

from __future__ import annotations


class InvariantBroken(BaseException):
    """An invariant, by name, and what was seen instead. No `except Exception` of the product may swallow it."""

    def __init__(self, invariant: str, observed: str) -> None:
        super().__init__(f"{invariant}: {observed}")
        self.invariant, self.observed = invariant, observed


def check_invariant(condition: object, invariant: str, observed: str) -> None:
    """Raises `InvariantBroken` unless the condition is true."""
    if not condition:
        raise InvariantBroken(invariant, observed)
