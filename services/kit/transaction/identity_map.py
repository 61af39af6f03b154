"""The rows of one table that a transaction has in its hands, and which of them it changed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


class IdentityMap(Generic[K, R]):
    """One row object per key. What was not loaded looks as if it did not exist."""

    def __init__(self, key: Callable[[R], K]) -> None:
        self._key = key
        self._rows: dict[K, R] = {}
        self._changed: dict[K, None] = {}

    def fill(self, rows: Iterable[R]) -> None:
        """Rows as the database has them."""
        self._rows |= {self._key(row): row for row in rows}

    def get(self, key: K) -> R | None:
        """The row as it stands now."""
        return self._rows.get(key)

    def put(self, row: R) -> None:
        """The row as it stands from here on."""
        key = self._key(row)
        self._rows[key] = row
        self._changed[key] = None

    def __iter__(self) -> Iterator[R]:
        return iter(tuple(self._rows.values()))

    @property
    def changed(self) -> list[R]:
        """What is to be written, in the order in which it was first changed."""
        return [self._rows[key] for key in self._changed]
