"""A burst: many more buyers than goods at once, while processes and database backends are killed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.buyers import Buyer
from deploy.scenarios.actors.client import call
from tests.faults.load import pickup_order
from tests.faults.market import BURST, SITES, receive_lots
from tests.faults.matrix import processes, storage_faults
from tests.faults.matrix.injection import Injection

REQUESTS, UNITS = 5000, 200


async def scarce(injection: Injection) -> None:
    """F28: 5 000 requests as fast as possible, each for one unit, together with F1 and F12. Every request is answered;
    the checks verify that exactly the available units are sold.
    """
    await _offer(injection)
    injection.environment.scarce.add(BURST)
    faults = [asyncio.create_task(inject(injection)) for inject in (processes.killed, storage_faults.backends_killed)]
    injection.workload.buyers.paused = True  # the burst is the load
    injection.actions["accepted"] = await _send_burst(injection, list(_buyers(injection)))
    injection.workload.buyers.paused = False
    await asyncio.gather(*faults)
    if injection.actions["accepted"] != REQUESTS:
        raise AssertionError(f"only {injection.actions['taken']} of {REQUESTS} orders were accepted")


async def _offer(injection: Injection) -> None:
    client, market = injection.workload.client, injection.environment.market
    price = {"item": BURST, "channel": "live", "price_fen": 250, "effective_from": market.now.isoformat()}
    await call(client, requests.put_entry("items", BURST, {"name_zh": "荔枝", "unit": "piece", "unit_g": 10}))
    await call(client, requests.put_entry("prices", f"{BURST}-live", price))
    await receive_lots(client.persistent, market, {BURST: UNITS // len(SITES)}, "burst")


async def _send_burst(injection: Injection, buyers: list[Buyer]) -> int:
    """Send the orders from another process (`burst_client`) and merge its history; return the
    number of accepted ones.
    """
    data, workload = injection.environment.data, injection.workload
    bodies, history_file = (
        data / f"burst-orders-{workload.environment.workloads}.jsonl",
        data / f"burst-history-{workload.environment.workloads}.jsonl",
    )
    bodies.write_text("".join(f"{json.dumps(buyer.body)}\n" for buyer in buyers))
    command = ["-m", "tests.faults.matrix.burst_client", str(data), str(bodies), str(history_file)]
    with (data / f"burst-result-{workload.environment.workloads}.json").open("w+") as output:
        process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=output)
        await process.wait()
        output.seek(0)
        result = json.load(output)
    workload.history.take_over(history_file)
    workload.client.broken += result["broken"]
    for buyer in buyers:
        if answer := result["accepted"].get(buyer.id):
            buyer.accept(answer)
            workload.buyers.accepted[buyer.id] = buyer
    injection.actions["seconds of burst"] = round(result["seconds"])
    return len(result["accepted"])


def _buyers(injection: Injection) -> Iterator[Buyer]:
    client, market, rng = injection.workload.client, injection.environment.market, injection.rng
    for n in range(REQUESTS):
        site = SITES[n % len(SITES)]
        yield Buyer(client, pickup_order(market, rng, BURST, site=site, channel="live", payment="on_account"))
