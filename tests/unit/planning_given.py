"""Problems for the planner's tests: single orders and couriers, and towns generated from a seed."""

import random

from services.dispatch.planning.problem import Break, Courier, Order, Place, RoutingProblem, Window

HOUR = 3600
STATION = Place(28.226, 112.962)


def order(id: str = "o", lat: float = 28.24, **changes) -> Order:
    given = {"load_g": 5000, "cold_ml": 0, "windows": (Window(11 * HOUR, 14 * HOUR),)} | changes
    return Order(id, Place(lat, 112.99), **given)


def courier(id: str = "van-1", **changes) -> Courier:
    given = {"capacity_g": 100_000, "cold_ml": 20_000, "from_s": 9 * HOUR, "until_s": 16 * HOUR} | changes
    return Courier(id, **given)


def problem(orders: list[Order], couriers: list[Courier] | None = None) -> RoutingProblem:
    return RoutingProblem(STATION, tuple([courier()] if couriers is None else couriers), tuple(orders))


def town(orders: int, couriers: int, seed: int = 1) -> RoutingProblem:
    """A town with every kind of rule in it; most orders can be served."""
    r = random.Random(seed)
    made = []
    for n in range(orders):
        start = r.choice((9, 10, 11, 13, 14)) * HOUR
        made.append(
            Order(
                f"o{n}",
                Place(28.226 + r.gauss(0, 0.05), 112.962 + r.gauss(0, 0.05)),
                r.randint(500, 12_000),
                r.choice((0, 0, r.randint(500, 4000))),
                (Window(start, start + r.choice((2, 3)) * HOUR),),
                release_s=r.choice((0, 0, 8 * HOUR)),
                out_of_cold_s=r.choice((None, None, None, HOUR)),
                skills=("stairs",) if r.random() < 0.05 else (),
                zone=r.choice(("", "", "", "east", "west")),
                prize_fen=r.choice((None,) * 9 + (2000,)),
            )
        )
    crew = [
        Courier(
            f"c{n}",
            160_000,
            40_000,
            8 * HOUR,
            18 * HOUR,
            breaks=(Break(11 * HOUR, 14 * HOUR, 1800),) if n % 4 == 1 else (),
            skills=("stairs",) if n % 3 == 0 else (),
            zones=("east",) if n % 5 == 4 else (),
            fen_per_hour=2000 if n % 4 == 2 else 0,
            fen_fixed=3000,
            end=Place(28.2, 112.9) if n % 6 == 1 else None,
        )
        for n in range(couriers)
    ]
    return RoutingProblem(STATION, tuple(crew), tuple(made))
