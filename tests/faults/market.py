"""The market of the fault tests: a catalogue, lots, and stock lent to stalls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from contracts.values import pool_of
from tests.faults.client import Client, Request

SITES = ("north", "south")
SCARCE, BURST = "truffles", "lychees"
SCARCE_ITEMS = frozenset({SCARCE, BURST})
"""Items with less stock than demand; their buyers keep what they get."""
STOCK = {"apples": 400_000, "tea": 400_000, "eggs": 600, SCARCE: 40}
"""Pieces of each item at each site: plenty, plenty, too few for a busy day, and far too few."""
LENT = {"apples": 20_000, "tea": 20_000, "eggs": 100}
TERMINALS, COURIERS, WAVES = 6, 6, 60
PERSISTENT_S = 600.0
"""Retry time in seconds of actors that report facts and never give up."""


@dataclass(frozen=True, slots=True)
class Market:
    """One market day in real time: no deadline passes during a run, except those of holds."""

    day: str
    now: datetime

    def pool(self, site: str) -> str:
        """Return the stock pool of a site."""
        return pool_of(self.day, site)

    @property
    def terminals(self) -> dict[str, str]:
        """Sites by terminal id."""
        return {f"till-{n}": SITES[n % len(SITES)] for n in range(TERMINALS)}

    @property
    def couriers(self) -> list[str]:
        """Ids of the couriers."""
        return [f"rider-{n}" for n in range(COURIERS)]


def new_market() -> Market:
    """Return tomorrow's market."""
    now = datetime.now(UTC)
    return Market(f"m{now:%Y%m%d}", now)


async def open_market(client: Client, market: Market) -> None:
    """Put the catalogue, receive the first lots and lend stock to the stalls; every service knows them on return."""
    for group in _catalogue(market):
        await _send_all(
            client, [Request("operator", "orders", "PUT", f"/v1/catalog/{path}", body) for path, body in group]
        )
    await receive_lots(client, market, STOCK, "first")
    await _send_all(client, [_loan(market, t, site, item) for t, site in market.terminals.items() for item in LENT])


async def receive_lots(client: Client, market: Market, goods: Mapping[str, int], name: str) -> None:
    """Receive a lot of each item at each site and pass its inspection."""
    lots = [(site, item) for site in SITES for item in goods]
    await _send_all(client, [_lot(market, *lot, goods[lot[1]], name) for lot in lots])
    await _send_all(client, [_inspection(_id(market.day, *lot, name)) for lot in lots])


async def _send_all(client: Client, requests: list[Request]) -> None:
    for answer in await asyncio.gather(*(client.send(request, retry_s=PERSISTENT_S) for request in requests)):
        assert answer.ok, answer


def _catalogue(market: Market) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    place = {"name_zh": "镇", "lat": 28.2, "lon": 112.9}
    since = (market.now - timedelta(days=1)).isoformat()
    yield [("stations/depot", place), ("villages/hill", place)]
    yield [(f"communities/{site}-side", place) for site in SITES]
    yield [(f"sites/{site}", {**place, "station": "depot"}) for site in SITES]
    yield [("households/h1", {"village": "hill"})]
    yield [(f"items/{item}", {"name_zh": item, "unit": "piece", "unit_g": 10}) for item in STOCK]
    yield [
        (f"prices/{item}-{channel}", {"item": item, "channel": channel, "price_fen": 250, "effective_from": since})
        for item in STOCK
        for channel in ("app", "group", "live", "stall")
    ]
    yield [(f"points/{site}-point", {"community": f"{site}-side", "name_zh": "点"}) for site in SITES]
    yield [(f"terminals/{id}", {"site": site}) for id, site in market.terminals.items()]
    yield [(f"couriers/{id}", {"station": "depot", "capacity_g": 1_000_000}) for id in market.couriers]
    yield [(f"market-days/{market.day}", _market_day(market))]


def _market_day(market: Market) -> dict[str, Any]:
    def after(hours: float) -> str:
        return (market.now + timedelta(hours=hours)).isoformat()

    return {
        "date": (market.now + timedelta(days=2)).date().isoformat(),
        "opens_at": after(-1),
        "closes_at": after(10),
        "sites": [{"site": site, "communities": [f"{site}-side"]} for site in SITES],
        "waves": [
            {"id": f"{market.day}-w{n:02}", "station": "depot", "slot_from": after(12 + n / 60),
             "slot_until": after(24 + n / 60), "cutoff": after(11), "capacity": 10_000}
            for n in range(WAVES)
        ],
    }  # fmt: skip


def _id(*names: str) -> str:
    return str(uuid5(NAMESPACE_OID, "/".join(names)))


def _lot(market: Market, site: str, item: str, quantity: int, name: str) -> Request:
    body = {
        "lot_id": _id(market.day, site, item, name),
        "pool": market.pool(site),
        "item": item,
        "household": "h1",
        "quantity": quantity,
        "harvested_at": market.now.isoformat(),
    }
    return Request("operator", "inventory", "POST", "/v1/lots", body)


def _inspection(lot: str) -> Request:
    return Request("operator", "inventory", "POST", f"/v1/lots/{lot}:inspect", {"result": "pass"}, f"{lot}-inspected")


def _loan(market: Market, terminal: str, site: str, item: str) -> Request:
    body = {
        "allotment_id": _id(market.day, terminal, item, "loan"),
        "terminal": terminal,
        "pool": market.pool(site),
        "item": item,
        "quantity": LENT[item],
        "lease_until": (market.now + timedelta(hours=9)).isoformat(),
    }
    return Request("operator", "inventory", "POST", "/v1/allotments", body)


def give_back(market: Market, terminal: str, site: str, item: str, quantity: int) -> Request:
    """Return the request with which a stall gives back its remaining stock."""
    body = {
        "return_id": _id(market.day, terminal, item, "back"),
        "terminal": terminal,
        "pool": market.pool(site),
        "item": item,
        "quantity": quantity,
    }
    return Request("operator", "inventory", "POST", "/v1/allotments:return", body)
