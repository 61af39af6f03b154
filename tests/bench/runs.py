"""Runs measurements in turns, so that other load on the machine affects all variants alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from tests.bench.shops import Shop

Figures = dict[str, float]
"""The figures of one run of one variant, by name."""


@dataclass(frozen=True, slots=True)
class Effort:
    """The size of a measurement: a quick one has fewer runs and orders, and its figures are rough."""

    runs: int = 5
    scale: float = 1.0

    def of(self, count: int) -> int:
        """Scale a count."""
        return int(count * self.scale)


@dataclass
class Results:
    """The figures of each variant over all runs, and the violations of its reconciliation."""

    figures: dict[str, dict[str, list[float]]]
    violations: dict[str, list[str]]

    def of(self, variant: str, figure: str) -> list[float]:
        """Return all runs of a variant; zero if its reconciliation failed."""
        return [0.0] if self.violations[variant] else self.figures[variant][figure]


@asynccontextmanager
async def open_shops(shops: Sequence[Shop], hot: int = 0) -> AsyncIterator[None]:
    """Open all shops for the duration of the block."""
    async with AsyncExitStack() as ending:
        for shop in shops:
            ending.push_async_callback(shop.close)
            await shop.open(hot)
        yield


async def take_turns(
    shops: Sequence[Shop], runs: int, measure: Callable[[Shop, int], Awaitable[Figures]], *, warm: int = 1
) -> Results:
    """Measure each variant in each run, in turn. The first `warm` rounds are discarded; after them every database gets
    its statistics, as autovacuum would do within a minute.
    """
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for n in range(-warm, runs):
        if n == 0:
            await shops[0].world.analyze()
        for shop in shops if n % 2 == 0 else reversed(shops):
            figures = await measure(shop, n + warm)
            if n >= 0:
                for name, value in figures.items():
                    found[shop.name][name].append(value)
    return Results(found, {shop.name: [] for shop in shops})
