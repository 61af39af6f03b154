"""Chance that is the same for a seed: a random source and ids for each part of a day."""

from __future__ import annotations

from random import Random
from uuid import NAMESPACE_URL, UUID, uuid5


class Chance:
    """Everything random of a day. Each part draws from a source of its own, so parts don't disturb each other."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def of(self, part: str) -> Random:
        """A fresh source for a part, the same every time."""
        return Random(f"{self._seed}/{part}")

    def id(self, kind: str, number: int) -> UUID:
        """The id of the n-th thing of a kind."""
        return uuid5(NAMESPACE_URL, f"halfday:scenario/{self._seed}/{kind}/{number}")
