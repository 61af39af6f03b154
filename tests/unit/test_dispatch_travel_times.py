"""Travel times: from the engine in the settings, and estimated when it does not answer."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from services.dispatch import settings, travel_times
from tests.unit.planning_given import order, problem

GIVEN = problem([order("a"), order("b", 28.25)])


class Engine(http.server.BaseHTTPRequestHandler):
    """Answers 7 m and 5 s for every way, as OSRM would."""

    def do_GET(self) -> None:
        size = len(self.path.split("?")[0].split(";")) // 2
        table = {"code": "Ok", "distances": [[6.5] * size] * size, "durations": [[4.2] * size] * size}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(table).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing to stderr."""


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    settings.settings.cache_clear()
    travel_times._engine.cache_clear()
    yield
    settings.settings.cache_clear()
    travel_times._engine.cache_clear()


@pytest.fixture
def engine() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Engine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def test_an_engine_that_is_named_is_asked(engine: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HALFDAY_OSRM", engine)
    (given,) = (await travel_times.with_travel_times(GIVEN)).ways
    assert given.metres == [[0, 7, 7], [7, 0, 7], [7, 7, 0]]
    assert given.seconds[0] == [0, 5, 5]


@pytest.mark.parametrize("name", ["HALFDAY_OSRM", "HALFDAY_VALHALLA"])
async def test_an_engine_that_is_away_leaves_the_estimate(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await travel_times.with_travel_times(GIVEN) == GIVEN


async def test_without_one_nothing_is_asked():
    assert await travel_times.with_travel_times(GIVEN) is GIVEN
