"""Stall terminals: they sell online or offline, and upload their records in any order and any portions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from deploy.scenarios.actors import stalls
from deploy.scenarios.actors.client import Refused
from deploy.scenarios.actors.devices import Device, Upload
from services.kit.uploads import kept
from tests.simulation.invariant import check_invariant
from tests.simulation.market import DAY, ITEMS, OVER, TERMINALS, Market, goods
from tests.simulation.processes import Process

SESSION = "a"
ANSWERS = {"applied", "repeated", "conflict", "kept"}


class Stall(stalls.StallTerminal):
    """One terminal with one session. A record is sent again until the server confirms it.

    `through`: the last number that the server has confirmed.
    """

    def __init__(self, market: Market, terminal: str) -> None:
        device = Device(f"terminal/{terminal}", f"dev-{terminal}", SESSION)
        super().__init__(market.client, device, terminal, DAY, f"{DAY}@{TERMINALS[terminal]}")
        self.market, self.rng, self.through = market, market.rng, 0
        self._all_sales: list[UUID] = []
        rng = self.rng
        self.open(market.clock.now(), 1000)
        for when in sorted(rng.uniform(7, 15.5) for _ in range(rng.randint(1, 6))):
            market.at(when, self._sell)
        market.at(rng.uniform(15.6, 17), lambda: self.close(market.clock.now()))
        away = rng.uniform(7, 12)
        back = away + rng.choice((0, 2, 6))
        for _ in range(rng.randint(2, 5)):
            when = rng.uniform(7, 18)
            market.at(back if away < when < back else when, self._upload_some)

    @property
    def seq(self) -> int:
        """The number of records."""
        return len(self.device.recorded)

    def _sell(self) -> None:
        rng, now = self.rng, self.market.clock.now()
        sale = self.market.id(f"sale-{self.terminal}-{self.seq + 1}")
        lines = [self._line(rng.choice((1, 1, 2, 3, 8))) for _ in range(rng.choice((1, 1, 2)))]
        self.sell(now, sale, lines)
        self._all_sales.append(sale)
        if rng.random() < 0.2:
            self.void(now, rng.choice(self._all_sales))
        if rng.random() < 0.05:  # the same sale with different content, under the next number
            self.sell(now, sale, [goods("egg", 9) | {"amount_fen": 1}])

    def _line(self, amount: int) -> dict[str, Any]:
        return goods(self.rng.choice(sorted(ITEMS)), amount) | {"amount_fen": 300}

    async def _upload_some(self) -> None:
        rng, queue = self.rng, self.device.unconfirmed
        rng.shuffle(queue)
        part = queue[: rng.randint(0, len(queue))] if rng.random() < 0.5 else queue
        if part and rng.random() < 0.3:
            part = [*part, rng.choice(part)]
        if part and rng.random() < 0.05:  # a number repeated with different content
            number = {name: part[0][name] for name in ("session", "seq", "recorded_at")}
            part = [*part, {**number, "kind": "count", "body": {"lines": [goods("egg", 1)]}}]
        await self._upload(part)

    async def _upload(self, uploads: list[Upload]) -> None:
        try:
            answer = await self.sync(uploads)
        except Refused as refusal:
            # the catalogue does not have the terminal or the market day yet: the device keeps its records
            check_invariant(refusal.status in {404, 422}, "a stall's facts are taken", f"{refusal}")
            return
        for one in answer["uploads"]:
            check_invariant(one["answer"] in ANSWERS, "every upload is answered", f"{self.terminal}: {one}")
            if one["answer"] == "kept":  # the catalogue does not have the goods yet
                self.market.after(self.rng.uniform(0.1, 1), self._redrive, one["seq"])
        self.through = max(self.through, answer["received_through"].get(SESSION, 0))
        if self.rng.random() < 0.7:
            self.device.confirm(self.through)

    async def _redrive(self, seq: int) -> None:
        """Redrive a kept upload as operator, until it has its effect."""
        scope = kept.scope_of(self.device.owner, (self.device.name, SESSION, seq))

        async def redrive(process: Process) -> Any:
            return await kept.redrive(process.context, process.service.on_upload, scope)

        while (await self.market.client.run("orders", f"redrive {scope}", redrive))[1]:
            await self.market.pause(self.rng.uniform(0.1, 1))

    def finish(self) -> None:
        """Upload everything that is left."""
        check_invariant(self.market.now >= OVER, "the day is over", "too early")
        if self.through < self.seq:
            self.market.after(0, self._upload, self.device.unconfirmed)


def open_stalls(market: Market) -> list[Stall]:
    """Open all terminals of the market."""
    return [Stall(market, terminal) for terminal in sorted(TERMINALS)]
