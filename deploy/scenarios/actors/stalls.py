"""A stall's terminal: it sells from its allotment, online or offline, and uploads its records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import Client, call
from deploy.scenarios.actors.devices import Device, Upload
from deploy.scenarios.actors.requests import Body, amount_of


@dataclass
class StallTerminal:
    """One terminal. `left` is what it may still sell: granted - returned - its own sales, by item; `cash_fen` is in its
    drawer; `sales` are those that were not voided.
    """

    client: Client
    device: Device
    terminal: str
    market_day: str
    pool: str
    left: dict[str, int] = field(default_factory=dict)
    cash_fen: int = 0
    sales: dict[UUID, Sequence[Body]] = field(default_factory=dict)

    def open(self, at: datetime, float_fen: int) -> None:
        """Open the session with that much cash."""
        self.cash_fen = float_fen
        self.device.record("open", at, {"float_fen": float_fen})

    def learn(self, allotment: Iterable[Mapping[str, Any]]) -> None:
        """Take over the allotment that a sync has returned, before the first sale."""
        self.left = {one["item"]: one["granted_total"] - one["returned_total"] for one in allotment}

    def has(self, lines: Sequence[Body]) -> bool:
        """Return True if the goods of these lines are left."""
        return all(self.left.get(line["item"], 0) >= amount_of(line) for line in lines)

    def sell(self, at: datetime, sale: UUID, lines: Sequence[Body]) -> None:
        """Sell lines, each an amount of an item with its `amount_fen`."""
        self.sales[sale] = lines
        self._move(lines, -1)
        self.device.record("sale", at, {"sale": str(sale), "lines": lines})

    def void(self, at: datetime, sale: UUID) -> None:
        """Take a sale back; the second time it is only recorded."""
        self._move(self.sales.pop(sale, ()), +1)
        self.device.record("void", at, {"sale": str(sale)})

    def _move(self, lines: Sequence[Body], sign: int) -> None:
        """Put goods on the table (+1) or take them off (-1); the money goes the other way."""
        for line in lines:
            self.left[line["item"]] = self.left.get(line["item"], 0) + sign * amount_of(line)
            self.cash_fen -= sign * line["amount_fen"]

    def close(self, at: datetime) -> None:
        """Close the session: its last number and the counted cash."""
        self.device.record("close", at, {"last_seq": len(self.device.recorded) + 1, "cash_fen": self.cash_fen})

    async def sync(self, uploads: Sequence[Upload]) -> dict[str, Any]:
        """Upload these records; return the service's answer. Raises `Refused`."""
        device = self.device
        request = requests.sync_terminal(self.terminal, device.name, self.market_day, uploads, device.seal(uploads))
        answer: dict[str, Any] = await call(self.client, request)
        return answer

    async def give_back(self, id: UUID | str, goods: Body) -> None:
        """Have goods counted back. Raises `Refused`."""
        await call(self.client, requests.give_back(id, self.pool, self.terminal, goods))
