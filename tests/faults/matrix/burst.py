"""A burst: many more buyers than goods, all at once, while the house is shot at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from uuid import UUID

from tests.faults.client import Ask
from tests.faults.load import Order
from tests.faults.market import SITES, bring
from tests.faults.matrix import processes, stores
from tests.faults.matrix.fire import Fire

ASKS, UNITS, AT_ONCE = 5000, 200, 64
ITEM = "lychees"


async def scarce(fire: Fire) -> None:
    """F28: so many asks as fast as they go, each for one unit, with F1 and F12 at the same time; all units find a
    buyer, and no more.
    """
    await _offer(fire)
    began = time.monotonic()
    shots = [asyncio.create_task(act(fire)) for act in (processes.killed, stores.backends_killed)]
    asks = iter(_asks(fire))
    await asyncio.gather(*(_buyer(fire, asks) for _ in range(AT_ONCE)))
    fire.did["asks"] += ASKS
    fire.did["seconds of burst"] = round(time.monotonic() - began)
    await asyncio.gather(*shots)


async def _offer(fire: Fire) -> None:
    since = fire.house.market.now.isoformat()
    price = {"item": ITEM, "channel": "live", "price_fen": 250, "effective_from": since}
    for path, body in (
        (f"items/{ITEM}", {"name_zh": "荔枝", "unit": "piece", "unit_g": 10}),
        (f"prices/{ITEM}-live", price),
    ):
        assert (await fire.shift.client.send(Ask("operator", "orders", "PUT", f"/v1/catalog/{path}", body))).ok
    await bring(fire.shift.client, fire.house.market, {ITEM: UNITS // len(SITES)}, "burst")


async def _buyer(fire: Fire, asks: Iterator[Order]) -> None:
    for order in asks:
        await fire.shift.crowd.place(order)


def _asks(fire: Fire) -> Iterator[Order]:
    for n in range(ASKS):
        site = SITES[n % len(SITES)]
        body = {
            "order_id": str(UUID(int=fire.rng.getrandbits(128), version=4)),
            "channel": "live",
            "market_day": fire.house.market.day,
            "community": f"{site}-side",
            "recipient": {"name": "某人", "phone": "13800000000"},
            "lines": [{"item": ITEM, "quantity": 1}],
            "fulfilment": {"kind": "pickup", "point": f"{site}-point"},
            "payment": "on_account",
        }
        yield Order(body["order_id"], body)  # type: ignore[arg-type]
