"""The small market of every run: its catalogue and its hours."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from contracts.values import Unit, pool_of
from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import Answer, BrokenPromise, Refused, Request
from services.orders.domain.catalog import LOCAL
from tests.simulation.client import InProcess
from tests.simulation.invariant import InvariantBroken
from tests.simulation.processes import World
from tests.simulation.scheduler import pause
from tests.simulation.trace import Trace
from tests.small_market import SmallMarket, wave

DATE = date(2026, 5, 1)
MIDNIGHT = datetime(2026, 5, 1, tzinfo=LOCAL)
DAY = "d1"
OPENS, CLOSES, POINTS_CLOSE, OVER = 6.0, 17.0, 20.0, 20.5
WAVES = {"w1": (10.0, 11.0, 13.0), "w2": (15.0, 16.0, 18.0)}
SITES = {"s1": "c1", "s2": "c2"}
POOLS = {community: pool_of(DAY, site) for site, community in SITES.items()}
TERMINALS = {"t1": "s1", "t2": "s1", "t3": "s2"}
COURIERS = ("k1", "k2")
ITEMS = {"egg": Unit.PIECE, "tofu": Unit.PIECE, "leaf": Unit.GRAM}
DOOR = requests.delivery("door", 28.2, 112.9)


def hour(hours: float) -> datetime:
    """Return a time of the market day, from hours since local midnight."""
    return (MIDNIGHT + timedelta(seconds=round(hours * 3600, 3))).astimezone(UTC)


class Market:
    """The interface of the actors: client, clock, chance and ids of a run."""

    def __init__(self, world: World, client: InProcess, trace: Trace) -> None:
        self.world, self.client, self.trace, self.rng = world, client, trace, world.rng
        self.clock: Any = world.clock

    def at(self, hours: float, act: Callable[..., Coroutine[Any, Any, Any] | None], *args: Any) -> None:
        """Let an actor act at an hour of the day, or now if that has passed. A refusal may end what it does."""
        self.world.scheduler.at(self._second(hours), self._begin, act, args)

    def after(self, hours: float, act: Callable[..., Coroutine[Any, Any, Any] | None], *args: Any) -> None:
        """Let an actor act some hours from now."""
        self.at(self.now + hours, act, *args)

    def _begin(self, act: Callable[..., Coroutine[Any, Any, Any] | None], args: tuple[Any, ...]) -> None:
        if (begun := act(*args)) is not None:
            self.world.scheduler.begin(begun, "actor", _check_end)

    async def pause(self, hours: float) -> None:
        """Return some hours later."""
        await pause(max(0.0, self._second(self.now + hours) - self.world.scheduler.now))

    def _second(self, hours: float) -> float:
        return self.clock.second_of(hour(hours))  # type: ignore[no-any-return]

    async def send(self, request: Request) -> Answer:
        """Return the answer to a request."""
        return await self.client.send(request)

    @property
    def now(self) -> float:
        """Hours since midnight."""
        return (self.clock.now() - MIDNIGHT).total_seconds() / 3600

    def id(self, name: str) -> UUID:
        """Return a new client id, named in the trace."""
        id = UUID(int=self.rng.getrandbits(128), version=4)
        self.trace.name(id, name)
        return id

    def chance(self, p: float) -> bool:
        return self.rng.random() < p  # type: ignore[no-any-return]

    def open(self, capacity: int) -> None:
        """Put the catalogue; its events reach the other services in any order."""
        market = SmallMarket(
            day=DAY,
            date=DATE,
            opens_at=hour(OPENS),
            closes_at=hour(CLOSES),
            prices_since=hour(0),
            price_fen=300,
            sites=SITES,
            points={f"p{community}": community for community in POOLS},
            items={
                id: {"unit": unit.value, "unit_g": 500, "unit_ml": 100, "cold": id == "tofu"}
                for id, unit in ITEMS.items()
            },
            channels=("app", "group", "stall"),
            points_close="20:00",
            terminals=TERMINALS,
            couriers=COURIERS,
            waves=[
                wave(id, hour(cutoff), (hour(begin), hour(end)), capacity) for id, (cutoff, begin, end) in WAVES.items()
            ],
        )
        for entry in market.entries():
            self.at(self.now, self.send, requests.put_entry(*entry))


def goods(item: str, amount: int) -> requests.Body:
    """Return an item and amount as clients write them."""
    return requests.goods(item, amount, weighed=ITEMS[item] is Unit.GRAM)


def fulfilment(community: str, *, delivery: bool) -> requests.Body:
    """Return a delivery to the door, or a pickup at the community's point."""
    return DOOR if delivery else requests.pickup(f"p{community}")


def _check_end(_result: Any, error: BaseException | None) -> None:
    if isinstance(error, BrokenPromise):
        raise InvariantBroken("an answer keeps its promises", str(error)) from error
    if error and not isinstance(error, Refused):
        raise error
