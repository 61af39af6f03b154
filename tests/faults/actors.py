"""Actors of the market: stalls, couriers, pickup points and the dispatcher. They work until everything is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from tests.faults.client import Answer, Client, Request, Verdict, judge_all
from tests.faults.history import Operation, Outcome
from tests.faults.load import Buyers
from tests.faults.market import LENT, PERSISTENT_S, Market, give_back, receive_lots

Upload = dict[str, Any]
DONE = {"applied", "repeated"}
MAX_UPLOADS = 100
RESTOCK_EVERY_S, RESTOCK = 8.0, {"eggs": 60}
"""Seconds between restocks of each site, and the quantities."""


@dataclass
class Device:
    """The records of one device in one session, numbered without gaps."""

    name: str
    market: Market
    session: str = "s1"
    recorded: list[Upload] = field(default_factory=list)
    sent: int = 0

    def record(self, kind: str, body: Mapping[str, Any]) -> None:
        """Append a record."""
        self.recorded.append(
            {
                "session": self.session,
                "seq": len(self.recorded) + 1,
                "recorded_at": self.market.now.isoformat(),
                "kind": kind,
                "body": dict(body),
            }
        )

    def choose_uploads(self, rng: Random) -> list[Upload]:
        """Choose uploads: all new ones, or some of them, mixed with some sent before, in any order."""
        fresh = self.recorded[self.sent : self.sent + MAX_UPLOADS]
        old = rng.sample(self.recorded[: self.sent], min(self.sent, rng.choice([0, 2, 10])))
        self.sent += len(fresh)
        return rng.sample(fresh + old, len(fresh) + len(old))


@dataclass
class StallTerminal:
    """A stall's terminal: sells the stock lent to it, online or offline."""

    client: Client
    market: Market
    rng: Random
    terminal: str
    site: str
    device: Device = field(init=False)
    remaining: dict[str, int] = field(default_factory=lambda: dict(LENT))
    _sales: list[tuple[str, str, int]] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        self.device = Device(f"device-{self.terminal}", self.market)

    async def run(self, buyers: Buyers) -> None:
        """Sell and upload until the market closes; then close the session and return the remaining stock."""
        self.device.record("open", {"float_fen": 1000})
        while not buyers.closing:
            for _ in range(self.rng.choice([0, 0, 1, 2])):
                self._sell()
            await self._sync()
        self.device.record("close", {"last_seq": len(self.device.recorded) + 1, "cash_fen": 0})
        while self.device.sent < len(self.device.recorded):
            await self._sync()
        for item, remaining in self.remaining.items():
            answer = await self.client.send(
                give_back(self.market, self.terminal, self.site, item, remaining), retry_s=PERSISTENT_S
            )
            assert answer.ok, answer

    def _sell(self) -> None:
        if self._sales and self.rng.random() < 0.1:
            sale, item, quantity = self._sales.pop(self.rng.randrange(len(self._sales)))
            self.remaining[item] += quantity
            self.device.record("void", {"sale": sale})
            return
        item, quantity = self.rng.choice(list(self.remaining)), self.rng.randint(1, 3)
        if self.remaining[item] < quantity:
            return
        self.remaining[item] -= quantity
        sale = str(UUID(int=self.rng.getrandbits(128), version=4))
        self._sales.append((sale, item, quantity))
        line = {"item": item, "quantity": quantity, "amount_fen": quantity * 250}
        self.device.record("sale", {"sale": sale, "lines": [line]})

    async def _sync(self) -> None:
        self._count += 1
        uploads = self.device.choose_uploads(self.rng)
        lines = [
            {"seq": u["seq"], "kind": u["kind"], "lines": [[one["item"], one["quantity"]]
             for one in u["body"].get("lines", ())]}
            for u in uploads
        ]  # fmt: skip
        data = {"device": self.device.name, "session": self.device.session, "uploads": lines}
        operation = Operation(f"stall-{self.terminal}-{self._count}", "stall", self.terminal, data)
        body = {"device": self.device.name, "market_day": self.market.day, "uploads": uploads}
        request = Request("terminal", "orders", "POST", f"/v1/terminals/{self.terminal}/sync", body)
        answer = await self.client.send(request, [operation], retry_s=PERSISTENT_S)
        assert answer.ok, answer
        wrong = [one for one in answer.body["uploads"] if one["answer"] not in DONE]
        assert not wrong, wrong


@dataclass
class Courier:
    """A courier: loads the jobs of the route and delivers them, or returns them."""

    client: Client
    market: Market
    rng: Random
    courier: str
    device: Device = field(init=False)
    _known_jobs: set[str] = field(default_factory=set)
    _count: int = 0

    def __post_init__(self) -> None:
        self.device = Device(f"phone-{self.courier}", self.market)

    async def run(self, buyers: Buyers) -> None:
        """Work until cancelled."""
        while True:
            page = await self.client.get("courier", "dispatch", f"/v1/couriers/{self.courier}/route")
            stops = [stop for stop in (page or {"stops": []})["stops"] if stop["job"] not in self._known_jobs]
            for stop in stops:
                await self._stop(buyers, stop)
            await self._sync()
            if buyers.closing and not stops:
                await asyncio.sleep(0.2)

    async def _stop(self, buyers: Buyers, stop: Mapping[str, Any]) -> None:
        known = buyers.accepted.get(stop["order"])
        code = known.code if known else (await self._order(stop["order"]))["code"]
        self._known_jobs.add(stop["job"])
        job = {"job": stop["job"], "epoch": stop["epoch"]}
        if self.rng.random() < 0.95:  # otherwise the report is lost; the later ones imply it
            self.device.record("load", job)
        if self.rng.random() < 0.1:
            self.device.record("fail", {**job, "reason": "not-home"})
        if self.rng.random() < 0.05:
            self.device.record("return", {**job, "reason": "refused"})
        else:
            self.device.record("deliver", {**job, "code": code})

    async def _order(self, order: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = await self.client.get("buyer", "orders", f"/v1/orders/{order}")
        return found

    async def _sync(self) -> None:
        self._count += 1
        # A phone sends in order, because a later report implies the earlier ones.
        uploads = sorted(self.device.choose_uploads(self.rng), key=lambda upload: upload["seq"])
        data = {"uploads": [[u["seq"], u["kind"], u["body"]["job"]] for u in uploads]}
        operation = Operation(f"courier-{self.courier}-{self._count}", "courier", self.courier, data)
        body = {"device": self.device.name, "uploads": uploads}
        request = Request("courier", "dispatch", "POST", f"/v1/couriers/{self.courier}/sync", body)
        answer = await self.client.send(request, [operation], judge_sync, retry_s=PERSISTENT_S)
        assert answer.ok, answer


def judge_sync(operations: Sequence[Operation], answer: Answer) -> list[Verdict]:
    """Judge a sync, which succeeded when every report in it did."""
    if answer.ok and (wrong := [one for one in answer.body["uploads"] if one["answer"] not in DONE]):
        return [(Outcome.FAIL, {"why": str(wrong[0])})]
    return judge_all(operations, answer)


async def restock(client: Client, market: Market, buyers: Buyers) -> None:
    """Receive more lots now and then, until the market closes."""
    count, last = 0, time.monotonic()
    while not buyers.closing:
        if time.monotonic() - last > RESTOCK_EVERY_S:
            count, last = count + 1, time.monotonic()
            await receive_lots(client, market, RESTOCK, f"cart-{count}")
        await asyncio.sleep(0.1)


async def run_pickup_point(client: Client, buyers: Buyers, number: int, of: int) -> None:
    """A pickup point's leader: marks reserved orders ready and hands them over, until cancelled."""
    while True:
        found: list[str] = []
        for state in ("ready", "reserved"):
            page = await client.get("operator", "orders", "/v1/orders", state=state, limit=500)
            found += [row["order_id"] for row in (page or {"items": []})["items"] if row["fulfilment"] == "pickup"]
        mine = [order for order in found if UUID(order).int % of == number]
        for n in range(0, len(mine), 4):
            await asyncio.gather(*(_hand_over(client, buyers, order) for order in mine[n : n + 4]))
        if not mine:
            await asyncio.sleep(0.3)


async def _hand_over(client: Client, buyers: Buyers, order: str) -> None:
    known = buyers.accepted.get(order)
    code = known.code if known else (await client.get("buyer", "orders", f"/v1/orders/{order}"))["code"]
    path = f"/v1/orders/{order}"
    await client.send(
        Request("leader", "orders", "POST", f"{path}:ready"), [Operation(f"ready-{order}", "ready", order)]
    )
    request = Request("buyer", "orders", "POST", f"{path}:collect", {"code": code})
    await client.send(request, [Operation(f"collect-{order}", "collect", order)])


async def run_dispatcher(client: Client, buyers: Buyers, every_s: float) -> None:
    """The dispatcher: cuts the next wave that has jobs now and then, and releases planned waves; until cancelled."""
    last = time.monotonic()
    while True:
        page = await client.get("operator", "dispatch", "/v1/waves", limit=100)
        waves = (page or {"waves": []})["waves"]
        for wave in waves:
            if wave["state"] == "planned":
                await client.send(Request("operator", "dispatch", "POST", f"/v1/waves/{wave['wave']}:release"))
        # The planning loop plans one wave at a time; jobs that arrive meanwhile are planned with the next wave.
        busy = any(wave["state"] == "cut" for wave in waves)
        due = not busy and time.monotonic() - last > (2 if buyers.closing else every_s)
        waiting = next((wave for wave in waves if wave["state"] == "open" and any(wave["jobs"].values())), None)
        if due and waiting:
            last = time.monotonic()
            await client.send(Request("operator", "dispatch", "POST", f"/v1/waves/{waiting['wave']}:cut"))
        await asyncio.sleep(0.3)
