"""What a run ends with when an invariant does not hold."""

from __future__ import annotations


class Broken(BaseException):
    """An invariant, by name, and what was seen instead. No `except Exception` of the product may swallow it."""

    def __init__(self, invariant: str, seen: str) -> None:
        super().__init__(f"{invariant}: {seen}")
        self.invariant, self.seen = invariant, seen


def hold(condition: object, invariant: str, seen: str) -> None:
    """Raises `Broken` unless the condition is true."""
    if not condition:
        raise Broken(invariant, seen)
