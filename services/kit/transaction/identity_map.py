"""The rows that a transaction has read, one object for each, and which of them it changed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, ValuesView
from typing import Any, Generic, TypeVar, overload

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")
D = TypeVar("D")


class IdentityMap(Mapping[K, R], Generic[K, R]):
    """The rows of one table by key: a read-only mapping that changes by `load` and `put` alone.

    A repository has one for each table: it `load`s the rows that a batch needs under their locks, handlers read
    the mapping and `put` changed (immutable) rows, and `save` writes `changed`. A row that was not loaded looks as if
    it did not exist.

        self.waves = IdentityMap[str, Wave](lambda wave: wave.id)
        self.waves.load(await rows.waves(conn, ids))
        self.waves.put(replace(self.waves["w1"], version=2))
        await rows.save_waves(conn, self.waves.changed)
    """

    def __init__(self, key: Callable[[R], K]) -> None:
        self._key = key
        self._rows: dict[K, R] = {}
        self._changed: dict[K, R | None] = {}

    def load(self, rows: Iterable[R]) -> None:
        """Takes rows as the database has them."""
        self._rows |= {self._key(row): row for row in rows}

    def put(self, row: R) -> None:
        """Replaces the row of this key, or adds it; `changed` then has it."""
        key = self._key(row)
        self._changed.setdefault(key, self._rows.get(key))
        self._rows[key] = row

    @property
    def changed(self) -> list[R]:
        """The rows to write, in the order in which they were first changed."""
        return [self._rows[key] for key in self._changed]

    def loaded(self, key: K) -> R | None:
        """The row as it was loaded, without the changes of this transaction; None for a new one."""
        return self._changed[key] if key in self._changed else self._rows.get(key)

    def __getitem__(self, key: K) -> R:
        return self._rows[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    # Those of `Mapping` go through `__getitem__` and `KeyError`; handlers call these thousands of times a batch.
    @overload
    def get(self, key: K, default: None = None, /) -> R | None: ...
    @overload
    def get(self, key: K, default: R, /) -> R: ...
    @overload
    def get(self, key: K, default: D, /) -> R | D: ...
    def get(self, key: K, default: Any = None, /) -> Any:
        """Return the row of this key, or the default."""
        return self._rows.get(key, default)

    def values(self) -> ValuesView[R]:
        """Return the rows, in the order in which they came."""
        return self._rows.values()
