"""Generates market days from a seed: line-hauls bring villages' goods to a city station, buyers want them that day.

Villages, communities and hours follow newspaper reports on Changsha's paired villages; coordinates are approximate.
The same market and seed give the same day.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians
from random import Random

from services.dispatch.planning.problem import Courier, Order, Place, RoutingProblem, Window

HOUR, MINUTE = 3600, 60
STATION = Place(28.226, 112.962)
COMMUNITIES = {
    "Simaochong": (28.237, 112.998), "Changfeng": (28.221, 112.885), "Heyetang": (28.219, 112.925),
    "Xincheng": (28.262, 112.985), "Qifeng": (28.228, 112.977), "Bayiqiao": (28.201, 112.988),
}  # fmt: skip
VILLAGES = {
    "Shalong": 100, "Qilishan": 120, "Jinshu": 40, "Xiangzikou": 105, "Baisha": 115, "Tongxing": 125, "Guandu": 110,
}  # fmt: skip
"""Minutes of the line-haul to the station."""
LATITUDE_KM = 111.2


@dataclass(frozen=True, slots=True)
class Market:
    """Parameters of a market day; each is an option of the benchmark. Hours of the day, minutes, kilometres."""

    orders: int = 240
    couriers: int = 8
    wave_min: int = 30
    """Minutes from one wave to the next."""
    first_order_h: float = 6.5
    last_order_h: float = 15.5
    hauls: int = 4
    """Line-hauls of each village on a day."""
    delay_min: float = 12.0
    """Average delay of a line-haul, minutes."""
    promise_h: float = 5.0
    """Half a day: an order is due so long after it was placed, and no earlier than `least_h` after its line-haul."""
    least_h: float = 2.5
    slots: float = 0.25
    """Share of the orders that want an evening slot of two hours."""
    group_buys: float = 0.25
    """Share of the orders that a closing group-buy places at one moment, of one community and village."""
    bursts: float = 0.15
    """Share of the orders that a livestream places within minutes, of one village."""
    spread_km: float = 1.6
    """Distance of homes from the middle of their community (standard deviation)."""
    capacity_kg: int = 120
    cold_l: int = 60
    shift_from_h: float = 8.0
    shift_until_h: float = 22.0
    fen_per_km: int = 100
    fen_per_hour: int = 0


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order of the day, with the times of its placing and of the announced arrival of its goods.

    `order.release_s` is the actual arrival, which policies see only afterwards.
    """

    order: Order
    placed_s: int
    announced_s: int


@dataclass(frozen=True, slots=True)
class MarketDay:
    """A market day: its orders, sorted by the time of placing."""

    market: Market
    placed: tuple[PlacedOrder, ...]

    @property
    def waves(self) -> range:
        """The times of the waves, from the begin to the end of the shift."""
        market = self.market
        step = market.wave_min * MINUTE
        return range(int(market.shift_from_h * HOUR), int(market.shift_until_h * HOUR), step)

    @property
    def problem(self) -> RoutingProblem:
        """The whole day as one problem, as if all orders were known in the morning."""
        return RoutingProblem(STATION, crew(self.market), tuple(placed.order for placed in self.placed))


def crew(market: Market) -> tuple[Courier, ...]:
    """Return the couriers at the beginning of the day."""
    shift = int(market.shift_from_h * HOUR), int(market.shift_until_h * HOUR)
    return tuple(
        Courier(
            f"courier-{n}",
            market.capacity_kg * 1000,
            market.cold_l * 1000,
            *shift,
            fen_per_km=market.fen_per_km,
            fen_per_hour=market.fen_per_hour,
        )
        for n in range(1, market.couriers + 1)
    )


def market_day(market: Market, seed: int) -> MarketDay:
    """Return the market day of this seed."""
    random = Random(seed)
    hauls = {village: _hauls(market, way, random) for village, way in VILLAGES.items()}
    orders: list[PlacedOrder] = []
    while len(orders) < market.orders:
        village, community, moments = _buyers(market, random)
        for placed in moments[: market.orders - len(orders)]:
            where = community or random.choice(list(COMMUNITIES))
            haul = next((haul for haul in hauls[village] if haul[0] >= placed + _lead(village)), None)
            if haul:
                orders.append(_order(market, random, f"o{len(orders) + 1}", where, placed, haul))
    return MarketDay(market, tuple(sorted(orders, key=lambda order: order.placed_s)))


def _lead(village: str) -> int:
    """Return the seconds of picking and packing and of the line-haul."""
    return (30 + VILLAGES[village]) * MINUTE


def _hauls(market: Market, way_min: int, random: Random) -> list[tuple[int, int]]:
    """Return (announced, actual) arrivals, spread over the day; the last one waits for the last orders."""
    first = market.first_order_h * HOUR + (30 + way_min) * MINUTE
    last = market.last_order_h * HOUR + (30 + way_min) * MINUTE
    step, made = (last - first) / max(1, market.hauls - 1), []
    for n in range(market.hauls):
        early = n < market.hauls - 1
        announced = int(first + n * step + (random.uniform(0, step / 2) if early else 0)) if market.hauls > 1 else last
        made.append((int(announced), int(announced + random.expovariate(1) * market.delay_min * MINUTE)))
    return made


def _buyers(market: Market, random: Random) -> tuple[str, str | None, list[int]]:
    """Return buyers who order together: village, community (None for any) and the times of their orders."""
    village, community, lot = random.choice(list(VILLAGES)), random.choice(list(COMMUNITIES)), random.random()
    first, last = market.first_order_h * HOUR, market.last_order_h * HOUR
    if lot < market.group_buys / 15 / _events(market):
        return village, community, [int(random.uniform(first, last))] * 15
    if lot < (market.group_buys / 15 + market.bursts / 30) / _events(market):
        began = random.uniform(first, last)
        return village, None, [int(began + random.expovariate(1) * 3 * MINUTE) for _ in range(30)]
    return village, community, [int(random.triangular(first, last, first + (last - first) / 3))]


def _events(market: Market) -> float:
    """Return events per order: single orders, group-buys of 15 and bursts of 30 in their shares."""
    single = 1 - market.group_buys - market.bursts
    return single + market.group_buys / 15 + market.bursts / 30


def _order(market: Market, random: Random, id: str, community: str, placed: int, haul: tuple[int, int]) -> PlacedOrder:
    announced, real = haul
    lat, lon = COMMUNITIES[community]
    north, east = random.gauss(0, market.spread_km), random.gauss(0, market.spread_km)
    place = Place(lat + north / LATITUDE_KM, lon + east / LATITUDE_KM / cos(radians(lat)))
    latest = int(market.shift_until_h * HOUR) - HOUR
    due = min(latest, int(max(placed + market.promise_h * HOUR, announced + market.least_h * HOUR)))
    window = Window(0, due)
    if random.random() < market.slots:
        evening = [start * HOUR for start in (17, 18, 19) if announced + HOUR <= start * HOUR]
        if evening and evening[-1] + 2 * HOUR <= latest:
            start = random.choice(evening)
            window = Window(start, start + 2 * HOUR)
    cold = random.choice((0, 0, random.randint(500, 6000)))
    order = Order(id, place, random.randint(500, 10_000), cold, (window,), release_s=real)
    return PlacedOrder(order, placed, announced)
