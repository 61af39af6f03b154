"""The exception that ends a run when an invariant is broken."""

from __future__ import annotations


class InvariantBroken(BaseException):
    """An invariant, by name, and the contradicting observation. No `except Exception` of the product may catch it."""

    def __init__(self, invariant: str, observed: str) -> None:
        super().__init__(f"{invariant}: {observed}")
        self.invariant, self.observed = invariant, observed


def check_invariant(condition: object, invariant: str, observed: str) -> None:
    """Raise `InvariantBroken` unless the condition is true."""
    if not condition:
        raise InvariantBroken(invariant, observed)
