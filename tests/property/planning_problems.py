"""Random problems with every rule, small enough for thousands of them."""

from dataclasses import replace

from hypothesis import strategies as st

from services.dispatch.planning.problem import Break, Courier, Order, Place, RoutingProblem, Window

HOUR = 3600
PLACES = st.builds(Place, st.floats(28.1, 28.4), st.floats(112.8, 113.2))
NAMES = st.lists(st.sampled_from(["stairs", "frozen"]), max_size=1, unique=True).map(tuple)
PROFILES = st.sampled_from(["van", "tricycle", "bike"])


@st.composite
def windows(draw: st.DrawFn) -> tuple[Window, ...]:
    """One to three windows, ordered and apart."""
    start, found = draw(st.integers(8 * HOUR, 13 * HOUR)), []
    for _ in range(draw(st.integers(1, 3))):
        until = start + draw(st.integers(0, 2 * HOUR))
        found.append(Window(start, until))
        start = until + draw(st.integers(1, HOUR))
    return tuple(found)


ORDERS = st.builds(
    Order,
    st.just(""),
    PLACES,
    st.integers(0, 60_000),
    st.integers(0, 20_000),
    windows(),
    service_s=st.integers(0, 900),
    release_s=st.one_of(st.just(0), st.integers(8 * HOUR, 12 * HOUR)),
    out_of_cold_s=st.one_of(st.none(), st.integers(0, 2 * HOUR)),
    skills=NAMES,
    zone=st.sampled_from(["", "east", "west"]),
    priority=st.integers(0, 2),
    prize_fen=st.one_of(st.none(), st.integers(0, 20_000)),
)


@st.composite
def couriers(draw: st.DrawFn) -> Courier:
    """A courier with a shift, perhaps with breaks in it and places of its own."""
    from_s = draw(st.integers(7 * HOUR, 11 * HOUR))
    until_s = from_s + draw(st.integers(HOUR, 8 * HOUR))
    breaks, clock = [], from_s
    for _ in range(draw(st.integers(0, 2))):
        begin = clock + draw(st.integers(0, 2 * HOUR))
        end = begin + draw(st.integers(600, 3 * HOUR))
        if end > until_s:
            break
        breaks.append(Break(begin, end, draw(st.integers(0, min(end - begin, 2700)))))
        clock = end
    return Courier(
        "",
        draw(st.integers(0, 120_000)),
        draw(st.integers(0, 40_000)),
        from_s,
        until_s,
        start=draw(st.one_of(st.none(), PLACES)),
        end=draw(st.one_of(st.none(), PLACES)),
        breaks=tuple(breaks),
        skills=draw(NAMES),
        zones=draw(st.lists(st.sampled_from(["east", "west"]), max_size=2, unique=True).map(tuple)),
        profile=draw(PROFILES),
        fen_per_hour=draw(st.sampled_from([0, 0, 3000])),
        fen_fixed=draw(st.sampled_from([0, 5000])),
    )


def named(station: Place, crew: list[Courier], orders: list[Order], load_s: int) -> RoutingProblem:
    """The problem, with ids given."""
    return RoutingProblem(
        station,
        tuple(replace(courier, id=f"c{n}") for n, courier in enumerate(crew)),
        tuple(replace(order, id=f"o{n}") for n, order in enumerate(orders)),
        load_s,
    )


PROBLEMS = st.builds(
    named, PLACES, st.lists(couriers(), max_size=3), st.lists(ORDERS, max_size=20), st.integers(0, 1200)
)
