"""Checks of a request against the catalogue and the business clock, before anything is locked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from contracts.registry import MODELS
from contracts.values import iso
from services.inventory.repository.store import StockStore
from services.kit.http import problems

NOT_KNOWN = "not-known-yet"
AHEAD = timedelta(minutes=10)
"""The tolerance for clocks that run fast: a past time may be this far in the future."""


@dataclass(frozen=True, slots=True)
class Goods:
    """A quantity of an item of a pool, in the item's unit. `weighed`: it was given in grams."""

    pool: str
    item: str
    quantity: int
    weighed: bool = False


async def check_goods(store: StockStore, goods: Goods) -> None:
    """Raises a 503 problem while the item or the pool's market day is unknown, and a 422 problem where grams are given
    of an item that is not weighed.
    """
    await check_pool(store, goods.pool)
    item = await entity(store, "item", goods.item)
    if goods.weighed and item["unit"] != "gram":
        raise problems.unprocessable("/weight_g", f"{goods.item} is not sold by weight: give quantity instead")


async def check_pool(store: StockStore, pool: str) -> None:
    """Raises a 503 problem while no market day with this site is known."""
    market_day, _, site = pool.partition("@")
    found = await entity(store, "market-day", market_day)
    if site not in {day["site"] for day in found["sites"]}:
        raise _unknown(f"site {site} of market day {market_day}")


async def check_terminal(store: StockStore, terminal: str, pool: str) -> None:
    """Raises a 503 problem while the terminal is unknown, and a 422 problem where it is not at the site of the pool:
    its sales would count for another pool.
    """
    site = (await entity(store, "terminal", terminal))["site"]
    if site != pool.partition("@")[2]:
        raise problems.unprocessable("/terminal", f"terminal {terminal} is at {site}, not at the site of {pool}")


async def entity(store: StockStore, kind: str, id: str) -> dict[str, Any]:
    """Return a catalogue entity. Raises a 503 problem while its event has not arrived, or can't be read."""
    found = await store.read_catalog_entry(kind, id)
    if found is None:
        raise _unknown(f"{kind} {id}")
    try:
        MODELS[f"market.orders.{kind}-put.v1"].model_validate(found)
    except ValidationError:
        detail = f"catalogue entry {kind}/{id} is invalid in inventory: correct it and put it again"
        raise problems.unavailable(30, detail, "catalogue-entry-unreadable") from None
    return found


def check_not_ahead(moment: datetime | None, now: datetime, pointer: str) -> None:
    """Raises a 422 problem for a past time that is more than `AHEAD` in the future of business time."""
    if moment and moment > now + AHEAD:
        minutes = int(AHEAD.total_seconds() / 60)
        raise problems.unprocessable(pointer, f"must be at most {minutes} minutes after now ({iso(now)})")


def _unknown(entry: str) -> problems.Problem:
    detail = f"{entry} is not in inventory's catalogue: it has not arrived yet or does not exist; retry shortly"
    return problems.unavailable(1, detail, NOT_KNOWN)
