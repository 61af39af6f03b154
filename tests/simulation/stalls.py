"""Stall terminals: they sell online or offline, and upload their records in any order and any portions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from services.kit.http.problems import Problem
from services.kit.uploads import kept
from services.orders.api.schemas.stall import SyncIn
from tests.simulation.invariant import check_invariant
from tests.simulation.market import DAY, ITEMS, OVER, TERMINALS, Market, as_sent, goods

SESSION = "a"
ANSWERS = {"applied", "repeated", "conflict", "kept"}


class Stall:
    """One terminal with one session. A record stays in its queue until the server confirms it."""

    def __init__(self, market: Market, terminal: str) -> None:
        self.market, self.rng, self.terminal = market, market.rng, terminal
        self.queue: list[dict[str, Any]] = []
        self.through = self.seq = 0
        self._sales: list[UUID] = []
        rng = self.rng
        self._record("open", {"float_fen": 1000})
        times = sorted(rng.uniform(7, 15.5) for _ in range(rng.randint(1, 6)))
        for when in times:
            market.at(when, self._sell)
        market.at(rng.uniform(15.6, 17), self._close)
        away = rng.uniform(7, 12)
        back = away + rng.choice((0, 2, 6))
        for _ in range(rng.randint(2, 5)):
            when = rng.uniform(7, 18)
            market.at(back if away < when < back else when, self._sync)

    def _record(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        self.seq += 1
        recorded: datetime = self.market.clock.now()
        self.queue.append({"session": SESSION, "seq": self.seq, "recorded_at": recorded, "kind": kind, "body": body})
        return self.queue[-1]

    def _sell(self) -> None:
        rng = self.rng
        sale = self.market.id(f"sale-{self.terminal}-{self.seq + 1}")
        lines = [goods(rng.choice(sorted(ITEMS)), rng.choice((1, 1, 2, 3, 8))) for _ in range(rng.choice((1, 1, 2)))]
        made = self._record("sale", {"sale": sale, "lines": [line | {"amount_fen": 300} for line in lines]})
        self._sales.append(sale)
        if rng.random() < 0.2:
            self._record("void", {"sale": rng.choice(self._sales)})
        if rng.random() < 0.05:  # the same sale with different content, under the next number
            self._record("sale", {**made["body"], "lines": [goods("egg", 9) | {"amount_fen": 1}]})

    def _close(self) -> None:
        self._record("close", {"last_seq": self.seq + 1, "cash_fen": 0})

    def _sync(self) -> None:
        rng, queue = self.rng, list(self.queue)
        rng.shuffle(queue)
        part = queue[: rng.randint(0, len(queue))] if rng.random() < 0.5 else queue
        if part and rng.random() < 0.3:
            part = [*part, rng.choice(part)]
        if part and rng.random() < 0.05:  # a number repeated with different content
            part = [*part, {**part[0], "kind": "count", "body": {"lines": [goods("egg", 1)]}}]
        self._send(part)

    def _send(self, uploads: list[dict[str, Any]]) -> None:
        body = SyncIn.model_validate(as_sent({"device": f"dev-{self.terminal}", "market_day": DAY, "uploads": uploads}))

        def on_answer(answer: Any) -> None:
            if isinstance(answer, Problem):
                # the catalogue does not have the terminal or the market day yet: the device keeps its records
                check_invariant(
                    answer.status in {404, 422}, "a stall's facts are taken", f"{self.terminal}: {answer.detail}"
                )
                return
            for upload_answer in answer["uploads"]:
                check_invariant(
                    upload_answer["answer"] in ANSWERS, "every upload is answered", f"{self.terminal}: {upload_answer}"
                )
                if upload_answer["answer"] == "kept":  # the catalogue does not have the goods yet
                    self.market.at(self.market.now + self.rng.uniform(0.1, 1), self._redrive, upload_answer["seq"])
            self.through = max(self.through, answer["received_through"].get(SESSION, 0))
            if self.rng.random() < 0.7:
                self.queue = [one for one in self.queue if one["seq"] > self.through]

        self.market.client.sync(self.terminal, body, f"sync {self.terminal} ({len(uploads)})", on_answer)

    def _redrive(self, seq: int) -> None:
        """Redrive a kept upload as operator, until it has its effect."""
        scope = kept.scope_of(f"terminal/{self.terminal}", (f"dev-{self.terminal}", SESSION, seq))

        def on_answer(answer: Any) -> None:
            if answer[1]:
                self.market.at(self.market.now + self.rng.uniform(0.1, 1), self._redrive, seq)

        def redrive(process: Any) -> Any:
            return kept.redrive(process.context, process.service.on_upload, scope)

        self.market.client.send("orders", f"redrive {scope}", redrive, on_answer)

    def finish(self) -> None:
        """Upload everything that is left."""
        check_invariant(self.market.now >= OVER, "the day is over", "too early")
        if self.through < self.seq:
            self._send(list(self.queue))


def open_stalls(market: Market) -> list[Stall]:
    """Open all terminals of the market."""
    return [Stall(market, terminal) for terminal in sorted(TERMINALS)]
