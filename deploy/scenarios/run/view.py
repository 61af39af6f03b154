"""Progress of a running day: a live table on a terminal; elsewhere a line for each finished stage, and at most one in
five seconds between them.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deploy.scenarios.drivers.world import World
from deploy.scenarios.outcome.observed import Observed

LIVE_EVERY_S, LINE_EVERY_S = 0.25, 5.0


class View:
    """Shows the day's progress until the block ends, and the final state."""

    def __init__(self, console: Console, world: World, observed: Observed) -> None:
        self._console = console
        self._world = world
        self._observed = observed
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._task: asyncio.Task[None] | None = None
        self._done: set[str] = set()
        self._said = time.monotonic()

    async def __aenter__(self) -> Self:
        if self._live:
            self._live.start()
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        if self._task:
            self._task.cancel()
        self._show(at_the_end=True)
        if self._live:
            self._live.stop()

    async def _watch(self) -> None:
        while True:
            self._show()
            await asyncio.sleep(LIVE_EVERY_S)

    def _show(self, at_the_end: bool = False) -> None:
        if self._live:
            self._live.update(self._table(), refresh=True)
            return
        for name, stage in self._world.tally.stages.items():
            if name not in self._done and stage.done >= stage.total and (at_the_end or not stage.grows):
                self._done.add(name)
                self._say(f"{self._time()}  {name}: {stage.done} done")
        if at_the_end or time.monotonic() - self._said >= LINE_EVERY_S:
            self._say(self._line())

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        self._console.print(line, highlight=False, soft_wrap=True)

    def _time(self) -> str:
        pace = self._world.pace
        return f"{pace.at(pace.minute):%H:%M}"

    def _states(self) -> str:
        states = self._observed.ends(self._world.day.market_day).most_common()
        return ", ".join(f"{state} {count}" for state, count in states) or "no orders yet"

    def _line(self) -> str:
        stages = self._world.tally.stages.items()
        under_way = [f"{name} {stage.done}/{stage.total}" for name, stage in stages if 0 < stage.done < stage.total]
        return f"{self._time()}  {', '.join(under_way) or 'waiting'}  |  {self._states()}"

    def _table(self) -> Group:
        grid = Table.grid(padding=(0, 2))
        for name, stage in self._world.tally.stages.items():
            bar = ProgressBar(total=max(1, stage.total), completed=stage.done, width=30)
            grid.add_row(name, bar, f"{stage.done}/{stage.total}")
        now = Text(f"{self._world.day.market_day} {self._time()}", style="bold")
        return Group(now, grid, Text(self._states(), style="dim"))
