"""How measurements are run: variants take turns, so that a busy neighbour hits all of them alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from tests.bench.shops import Shop

Figures = dict[str, float]
"""What one run of one variant measured, by the name of the figure."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: a quick look has fewer runs and orders, and its figures are rough."""

    runs: int = 5
    scale: float = 1.0

    def of(self, count: int) -> int:
        """So many of `count` as this effort takes."""
        return int(count * self.scale)


@dataclass
class Found:
    """The figures of each variant over all runs, and what was wrong with its books."""

    figures: dict[str, dict[str, list[float]]]
    faults: dict[str, list[str]]

    def of(self, variant: str, figure: str) -> list[float]:
        """All runs of a variant; zero where its books are wrong."""
        return [0.0] if self.faults[variant] else self.figures[variant][figure]


@asynccontextmanager
async def opened(shops: Sequence[Shop], hot: int = 0) -> AsyncIterator[None]:
    """The shops, selling."""
    async with AsyncExitStack() as ending:
        for shop in shops:
            ending.push_async_callback(shop.close)
            await shop.open(hot)
        yield


async def take_turns(
    shops: Sequence[Shop], runs: int, measure: Callable[[Shop, int], Awaitable[Figures]], *, warm: int = 1
) -> Found:
    """Measures each variant in each run, in turn. The first `warm` rounds are thrown away; after them every database
    gets its statistics, as it would within a minute.
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
    return Found(found, {shop.name: [] for shop in shops})
