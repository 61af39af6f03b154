"""Random sources and ids that are the same for a seed, for each part of a day."""

from __future__ import annotations

from random import Random
from uuid import NAMESPACE_URL, UUID, uuid5


class Chance:
    """Random numbers of a day. Each part has its own source, so parts do not influence each other."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def of(self, part: str) -> Random:
        """Return a new source for a part, the same every time."""
        return Random(f"{self._seed}/{part}")

    def id(self, kind: str, number: int) -> UUID:
        """Return the id of the n-th thing of a kind."""
        return uuid5(NAMESPACE_URL, f"halfday:scenario/{self._seed}/{kind}/{number}")
