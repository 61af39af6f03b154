"""The market of all variants: six sites, each with its own stock pool, sixty goods, orders of three lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import orjson
import uuid_utils

from contracts.values import pool_of
from deploy.scenarios.actors import requests
from deploy.scenarios.actors.operators import Entry
from deploy.scenarios.actors.requests import goods
from tests.small_market import SmallMarket

DAY = "sat"
SITES = tuple(f"site-{n}" for n in range(1, 7))
GOODS = tuple(f"item-{n:02}" for n in range(60))
HOT = tuple(f"hot-{n}" for n in range(40))
"""Goods with too little stock for a measurement, one for each run."""
PLENTY, PRICE_FEN = 10**9, 250
PERSON = {"name": "李姐", "phone": "13900000000"}


@dataclass(frozen=True, slots=True)
class SampleOrder:
    """An order to be placed: the client's own id, and the body that every variant accepts."""

    id: UUID
    pool: str
    lines: dict[str, int]
    body: bytes


def sample_orders(count: int, seed: int, item: str | None = None) -> list[SampleOrder]:
    """Return orders of three lines over all sites; or of one `item` each, all at the first site."""
    return list(_sample_orders(count, Random(seed), item))


def _sample_orders(count: int, rng: Random, item: str | None) -> Iterator[SampleOrder]:
    for _ in range(count):
        id = UUID(int=uuid_utils.uuid7().int)
        site = SITES[0] if item else rng.choice(SITES)
        lines = {item: 1} if item else {good: rng.randint(1, 3) for good in rng.sample(GOODS, 3)}
        some = [goods(item, quantity) for item, quantity in lines.items()]
        body = requests.order(id, "app", DAY, site, some, requests.pickup(site), "on_account", PERSON)
        yield SampleOrder(id, pool_of(DAY, site), lines, orjson.dumps(body))


def stock(hot: int) -> list[tuple[str, str, int]]:
    """Return (pool, item, quantity): plenty of everything, and `hot` of each hot item at the first site."""
    everything = [(pool_of(DAY, site), item, PLENTY) for site in SITES for item in GOODS]
    return everything + [(pool_of(DAY, SITES[0]), item, hot) for item in HOT if hot]


def catalogue() -> Iterator[Entry]:
    """Return every catalogue entry, in an order in which they can be put."""
    now = datetime.now(UTC)
    market = SmallMarket(
        day=DAY,
        date=(now + timedelta(days=1)).date(),
        opens_at=now - timedelta(hours=1),
        closes_at=now + timedelta(hours=10),
        prices_since=now - timedelta(days=1),
        price_fen=PRICE_FEN,
        sites={site: site for site in SITES},
        points={site: site for site in SITES},
        items={item: {"unit": "piece", "unit_g": 10} for item in (*GOODS, *HOT)},
        channels=("app",),
    )
    return market.entries()
