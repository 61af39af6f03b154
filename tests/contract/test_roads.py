"""Contract of every source of travel times, run against recorded answers of OSRM and Valhalla and our own estimate, and
against real servers where HALFDAY_OSRM or HALFDAY_VALHALLA names one."""

import json
import os
from collections.abc import Callable
from dataclasses import replace

import httpx2
import pytest

from services.dispatch.planning import checker
from services.dispatch.planning.construct import greedy
from services.dispatch.planning.problem import NO_WAY, Courier, Order, Place, RoutingProblem, TravelTimes, Window
from services.dispatch.planning.travel import engines
from services.dispatch.planning.travel.matrix import Estimate

PLACES = [Place(28.226, 112.962), Place(28.237, 112.998), Place(28.221, 112.885), Place(28.201, 112.988)]
ISLAND = Place(28.19, 112.95)  # no road leads there
DATABASE = Estimate([*PLACES, ISLAND])


def recorded_osrm(request: httpx2.Request) -> httpx2.Response:
    """Answers as osrm-routed does: lon,lat; floats; null for no road."""
    where = [
        (float(lat), float(lon)) for lon, lat in (p.split(",") for p in request.url.path.split("/")[-1].split(";"))
    ]
    chosen = {k: [int(n) for n in request.url.params[k].split(";")] for k in ("sources", "destinations")}
    if len(where) > 100:
        return httpx2.Response(400, json={"code": "TooBig", "message": "Too many table coordinates"})

    def table(way: Callable[[int, int], int], less: float) -> list[list[float | None]]:
        numbers = [number(Place(lat, lon)) for lat, lon in where]
        rows = [[(numbers[a], numbers[b]) for b in chosen["destinations"]] for a in chosen["sources"]]
        return [[None if 4 in (a, b) and a != b else max(0.0, way(a, b) - less) for a, b in row] for row in rows]

    assert request.url.params["annotations"] == "duration,distance"
    return httpx2.Response(
        200, json={"code": "Ok", "distances": table(DATABASE.metres, 0.4), "durations": table(DATABASE.seconds, 0.3)}
    )


def recorded_valhalla(request: httpx2.Request) -> httpx2.Response:
    """Answers as Valhalla does: kilometres and seconds, null for no road."""
    body = json.loads(request.content)
    places = {k: [number(Place(p["lat"], p["lon"])) for p in body[k]] for k in ("sources", "targets")}
    rows = [
        [cell(a, b) | {"from_index": n, "to_index": k} for k, b in enumerate(places["targets"])]
        for n, a in enumerate(places["sources"])
    ]
    return httpx2.Response(200, json={"sources_to_targets": rows, "units": "kilometers"})


def cell(a: int, b: int) -> dict[str, object]:
    if 4 in (a, b) and a != b:
        return {"distance": None, "time": None}
    return {"distance": DATABASE.metres(a, b) / 1000, "time": DATABASE.seconds(a, b)}


def number(place: Place) -> int:
    near = [abs(one.lat - place.lat) + abs(one.lon - place.lon) for one in (*PLACES, ISLAND)]
    return near.index(min(near))


def client(handler: Callable[[httpx2.Request], httpx2.Response]) -> httpx2.Client:
    return httpx2.Client(base_url="http://roads.test", transport=httpx2.MockTransport(handler))


ENGINES: dict[str, Callable[[], engines.Engine]] = {
    "recorded OSRM": lambda: engines.Osrm(client(recorded_osrm)),
    "recorded Valhalla": lambda: engines.Valhalla(client(recorded_valhalla)),
}
if url := os.environ.get("HALFDAY_OSRM"):
    ENGINES["OSRM"] = lambda: engines.Osrm(httpx2.Client(base_url=url))
if url := os.environ.get("HALFDAY_VALHALLA"):
    ENGINES["Valhalla"] = lambda: engines.Valhalla(httpx2.Client(base_url=url))


@pytest.fixture(params=ENGINES.values(), ids=ENGINES.keys())
def engine(request: pytest.FixtureRequest) -> engines.Engine:
    return request.param()


class Counted:
    """An engine that counts the cells it is asked for."""

    def __init__(self, engine: engines.Engine, block: int) -> None:
        self.engine, self.block, self.cells = engine, block, 0

    def table(self, sources, targets, profile):
        self.cells += len(sources) * len(targets)
        return self.engine.table(sources, targets, profile)


def test_ways_are_whole_positive_and_zero_to_the_place_itself(engine):
    ways = engines.Roads(engine).travel_times(PLACES, "van")
    for rows in (ways.metres, ways.seconds):
        assert [rows[n][n] for n in range(4)] == [0] * 4
        assert all(
            isinstance(cell, int) and cell > 0 for n, row in enumerate(rows) for k, cell in enumerate(row) if n != k
        )


def test_metres_are_metres_and_seconds_seconds(engine):
    ways = engines.Roads(engine).travel_times(PLACES, "van")
    assert 3_000 < ways.metres[0][1] < 12_000
    assert 200 < ways.seconds[0][1] < 3_000


@pytest.mark.parametrize("block", [1, 2, 50])
def test_blocks_make_the_same_table(engine, block):
    whole = engines.Roads(engine).travel_times(PLACES, "van")
    engine.block = block
    assert engines.Roads(engine).travel_times(PLACES, "van") == whole


@pytest.mark.parametrize("symmetric", [False, True])
def test_what_is_known_is_not_asked_again(engine, symmetric):
    counted = Counted(engine, 50)
    asked = engines.Roads(counted, symmetric)
    asked.travel_times(PLACES[:3], "van")
    first = counted.cells
    asked.travel_times(PLACES[:3], "van")
    assert counted.cells == first
    asked.travel_times(PLACES, "van")
    assert counted.cells - first <= (4 if symmetric else 7)
    asked.travel_times(PLACES[:3], "bike")
    assert counted.cells > first + 7 - 3


@pytest.mark.parametrize("name", ["recorded OSRM", "recorded Valhalla"])
def test_a_place_without_a_road_leaves_its_order_unserved_with_that_reason(name):
    window = (Window(0, 50_000),)
    orders = tuple(Order(f"o{n}", place, 1, 0, window) for n, place in enumerate([*PLACES[1:], ISLAND]))
    problem = RoutingProblem(PLACES[0], (Courier("c", 10, 0, 0, 60_000),), orders)
    measured = engines.Roads(ENGINES[name]()).measured(problem)
    assert measured.ways[0].metres[0][4] == NO_WAY
    plan = greedy.solve(measured)
    assert [(gone.order, gone.reason) for gone in plan.unserved] == [("o3", "courier c: no road leads there")]
    assert checker.faults(measured, plan) == []
    forced = replace(measured, ways=(TravelTimes("van", [[1] * 5] * 5, [[1] * 5] * 5),))
    assert any("can't be reached" in fault for fault in checker.faults(measured, greedy.solve(forced)))


@pytest.mark.parametrize("make", [engines.Osrm, engines.Valhalla])
@pytest.mark.parametrize(
    "answer",
    [httpx2.Response(500), httpx2.Response(200, text="no json"), httpx2.Response(200, json={"code": "Ok"})],
    ids=["fails", "is no JSON", "has no table"],
)
def test_a_broken_engine_says_so(make, answer):
    with pytest.raises(engines.RoadsError, match=make.__name__ if make is engines.Valhalla else "OSRM"):
        engines.Roads(make(client(lambda _: answer))).travel_times(PLACES, "van")
