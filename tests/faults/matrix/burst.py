"""A burst: many more buyers than goods, all at once, while the house is shot at."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from tests.faults.client import Ask
from tests.faults.load import Order
from tests.faults.market import BURST, SITES, bring
from tests.faults.matrix import processes, storage_faults
from tests.faults.matrix.injection import Fire

ASKS, UNITS = 5000, 200


async def scarce(fire: Fire) -> None:
    """F28: so many asks as fast as they go, each for one unit, with F1 and F12 at the same time. Everybody is answered;
    that every unit finds a buyer, and no more than there are, is judged with everything else.
    """
    await _offer(fire)
    fire.house.scarce.add(BURST)
    shots = [asyncio.create_task(act(fire)) for act in (processes.killed, storage_faults.backends_killed)]
    fire.shift.crowd.resting = True  # the burst is the load
    fire.did["taken"] = await _ask(fire, [Order(body["order_id"], body) for body in _bodies(fire)])
    fire.shift.crowd.resting = False
    await asyncio.gather(*shots)
    if fire.did["taken"] != ASKS:
        raise AssertionError(f"only {fire.did['taken']} of {ASKS} asks were taken")


async def _offer(fire: Fire) -> None:
    since = fire.house.market.now.isoformat()
    price = {"item": BURST, "channel": "live", "price_fen": 250, "effective_from": since}
    for path, body in (
        (f"items/{BURST}", {"name_zh": "荔枝", "unit": "piece", "unit_g": 10}),
        (f"prices/{BURST}-live", price),
    ):
        assert (await fire.shift.client.send(Ask("operator", "orders", "PUT", f"/v1/catalog/{path}", body))).ok
    await bring(fire.shift.client, fire.house.market, {BURST: UNITS // len(SITES)}, "burst")


async def _ask(fire: Fire, orders: list[Order]) -> int:
    """How many were taken. Who asks is another process (`asks`); what it did is as good as done by this one."""
    data, shift = fire.house.data, fire.shift
    bodies, told = data / f"asks-{shift.house.shifts}.jsonl", data / f"asked-{shift.house.shifts}.jsonl"
    bodies.write_text("".join(f"{json.dumps(order.body)}\n" for order in orders))
    words = ["-m", "tests.faults.matrix.burst_client", str(data), str(bodies), str(told)]
    with (data / f"taken-{shift.house.shifts}.json").open("w+") as said:
        asking = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=said)
        await asking.wait()
        said.seek(0)
        found = json.load(said)
    shift.history.take_over(told)
    shift.client.broken += found["broken"]
    for order in orders:
        if known := found["taken"].get(order.id):
            order.code, order.total_fen = known
            shift.crowd.taken[order.id] = order
    fire.did["seconds of burst"] = round(found["seconds"])
    return len(found["taken"])


def _bodies(fire: Fire) -> Iterator[dict[str, Any]]:
    for n in range(ASKS):
        site = SITES[n % len(SITES)]
        yield {
            "order_id": str(UUID(int=fire.rng.getrandbits(128), version=4)),
            "channel": "live",
            "market_day": fire.house.market.day,
            "community": f"{site}-side",
            "recipient": {"name": "某人", "phone": "13800000000"},
            "lines": [{"item": BURST, "quantity": 1}],
            "fulfilment": {"kind": "pickup", "point": f"{site}-point"},
            "payment": "on_account",
        }
