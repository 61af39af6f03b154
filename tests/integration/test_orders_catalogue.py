"""The catalogue over HTTP on a real database: what it refuses, and one broken entry that takes nothing else with it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import structlog

from services.kit.http import health
from services.kit.process import openapi, readiness
from services.orders.api.schemas.catalog import BODIES
from services.orders.app import SERVICE
from services.orders.domain.catalog import KINDS
from services.orders.repository import postgres_catalog
from tests.integration.campaign_world import a_campaign, a_join, open_one
from tests.integration.orders_world import CATALOG, Orders, an_order, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack
TOFU = [{"item": "tofu", "weight_g": 500}]
PICKUP = {"kind": "pickup", "point": "gate"}


@pytest.fixture(scope="module")
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as world:
        yield world


@pytest.fixture
async def fresh(stack: TestStack) -> AsyncIterator[Orders]:
    """A world that a test may break."""
    async with open_orders(stack) as world:
        yield world


async def put_text(orders: Orders, path: str, text: bytes) -> Any:
    headers = {"Content-Type": "application/json"}
    return await orders.call("PUT", f"/v1/catalog/{path}", content=text, headers=headers)


async def faults(orders: Orders, path: str, body: Any, status: int = 422) -> dict[str, str]:
    """Return the errors of a body by pointer; nothing of it is stored or published."""
    before = await orders.published("orders.catalog.v1"), (await orders.get(f"/v1/catalog/{path}")).content
    answer = await put_text(orders, path, body if isinstance(body, bytes) else json.dumps(body).encode())
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert before == (await orders.published("orders.catalog.v1"), (await orders.get(f"/v1/catalog/{path}")).content)
    return {error["pointer"]: error["message"] for error in answer.json()["errors"]}


@pytest.mark.parametrize("word", ['"NaN"', "NaN", "Infinity", "-Infinity", "null", "1e999", "112.99"])
@pytest.mark.parametrize("kind", ["villages", "communities", "sites", "stations"])
async def test_a_position_that_is_none_is_refused(orders: Orders, kind: str, word: str):
    body = f'{{"name_zh":"x","station":"guandu","lat":{word},"lon":28}}'
    if kind != "sites":
        body = body.replace('"station":"guandu",', "")
    answer = await put_text(orders, f"{kind}/v9", body.encode())
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/lat"]
    assert (await orders.post("/v1/orders", an_order())).status_code == 201


async def test_closed_fields_say_what_they_take(orders: Orders):
    unit = await faults(orders, "items/x", {"name_zh": "x", "unit": "bushel", "unit_g": 1})
    assert unit == {"#/unit": "Input should be 'piece' or 'gram'"}
    channel = await faults(orders, "prices/x", CATALOG["prices/honey-app"] | {"channel": "web"})
    assert channel == {"#/channel": "Input should be 'app', 'group', 'live' or 'stall'"}


async def test_a_number_over_64_bits_is_named_by_its_bound(orders: Orders):
    wrong = await faults(orders, "items/x", {"name_zh": "x", "unit": "piece", "unit_g": 10**30})
    assert wrong == {"#/unit_g": "Input should be less than or equal to 1000000"}


async def test_text_that_cannot_be_stored_is_named(orders: Orders):
    assert await faults(orders, "items/x", b'{"name_zh":"x\\u0000","unit":"piece","unit_g":1}') == {
        "#/name_zh": "must be one line without control characters"
    }
    assert list(await faults(orders, "items/x", b'{"name_zh":"\\ud800","unit":"piece","unit_g":1}')) == ["#/name_zh"]
    assert list(await faults(orders, "items/x", {"name_zh": "x" * 250_000, "unit": "piece", "unit_g": 1}))
    assert await faults(orders, "items/x", {"id": "y", "name_zh": "x", "unit": "piece", "unit_g": 1}) == {
        "#/id": "must be x, the id in the URL, or be left out"
    }


async def test_a_wave_belongs_to_one_market_day(orders: Orders):
    sunday = CATALOG["market-days/sat"]
    wrong = await faults(orders, "market-days/sun", sunday)
    assert wrong == {"#/waves/0/id": "wave sat-1 belongs to market day sat: give this one another id"}
    assert (await orders.put("market-days/sat", CATALOG["market-days/sat"])).json()["version"] == 1


async def test_what_is_named_must_be_there(orders: Orders):
    day = CATALOG["market-days/sat"] | {"sites": [{"site": "moon", "communities": ["crater"]}], "waves": []}
    assert await faults(orders, "market-days/x", day) == {
        "#/sites/0/site": "sites/moon does not exist: put it first",
        "#/sites/0/communities/0": "communities/crater does not exist: put it first",
    }


async def test_a_swapped_position_is_seen_from_either_side(orders: Orders):
    # Munich for Changsha: within the globe, and thousands of kilometres from what refers to it.
    site = await faults(orders, "sites/square", CATALOG["sites/square"] | {"lat": 48.1, "lon": 11.6})
    station = await faults(orders, "stations/guandu", CATALOG["stations/guandu"] | {"lat": 11.6, "lon": 48.1})
    for wrong in (site, station):
        assert "is a latitude swapped with a longitude?" in wrong["#/lat"]


async def test_an_unknown_kind_is_refused_by_name(orders: Orders):
    answer = await orders.put("gadgets/x", {})
    assert answer.status_code == 422
    assert "'items'" in answer.json()["errors"][0]["message"]


async def test_openapi_shows_the_fields_of_each_kind(orders: Orders):
    found = openapi.document(SERVICE)
    schemas = found["components"]["schemas"]
    for kind, model in BODIES.items():
        put = found["paths"][f"/v1/catalog/{kind}/{{id}}"]["put"]
        body = schemas[put["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]]
        answer = schemas[put["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]]
        assert body["properties"].keys() == model.model_fields.keys() == KINDS[kind].model_fields.keys()
        assert answer["properties"].keys() == body["properties"].keys() | {"version"}
        assert body["additionalProperties"] is False
        assert "stations, sites, villages" in put["description"]
    assert "UTC+8" in schemas["MarketDayIn"]["description"] + schemas["PointIn"]["description"]
    assert schemas["ItemIn"]["properties"]["unit"]["enum"] == ["piece", "gram"]


async def spoil(orders: Orders, path: str, change: str) -> None:
    """Writes a row past the service, as an older version or a hand would."""
    kind, id = path.split("/")
    done = await orders.context.pool.execute(
        f"update catalog set body = {change} where kind = $1 and id = $2",
        kind,
        id,
    )
    assert done == "UPDATE 1"
    await orders.context.pool.execute("update catalog_version set version = version + 1")


async def ready(orders: Orders) -> tuple[bool, health.CheckResult]:
    state = health.Readiness()
    state.checks |= readiness.api_checks(SERVICE, orders.context)
    is_ready, found = await state.report()
    return is_ready, found["catalogue"]


LAT_NULL = "jsonb_set(body, '{lat}', 'null')"


async def test_one_broken_place_stops_nothing_that_is_sold(fresh: Orders):
    """Before, every order, join and terminal was answered 500 until the row was put again."""
    await fresh.put("villages/v9", {"name_zh": "x", "lat": 28.2, "lon": 112.9})
    await open_one(fresh)
    await spoil(fresh, "villages/v9", LAT_NULL)
    await spoil(fresh, "stations/guandu", LAT_NULL)
    await fresh.place()
    await fresh.place(lines=TOFU, fulfilment=PICKUP)
    assert (await fresh.post("/v1/orders:batch", [an_order()])).json()["answers"][0]["status"] == 201
    campaign = await open_one(fresh)
    assert (await fresh.post(f"/v1/campaigns/{campaign.id}/joins", a_join(7))).status_code == 201
    assert (await sync(fresh)).status_code == 200
    is_ready, found = await ready(fresh)
    assert (is_ready, found.degraded) == (True, True)
    assert "stations/guandu can't be read (lat: Input should be a valid number): put it again" in str(found.detail)
    assert "villages/v9" in str(found.detail)


async def sync(orders: Orders) -> Any:
    return await orders.post("/v1/terminals/stall-1/sync", {"device": "d", "market_day": "sat"}, "terminal")


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("items/tofu", "body - 'unit'"),
        ("items/tofu", "jsonb_set(body, '{unit}', '\"kg\"')"),
        ("items/tofu", "'[1, 2]'"),
        ("prices/tofu-app", "body - 'price_fen'"),
        ("prices/tofu-app", "jsonb_set(body, '{channel}', '\"web\"')"),
    ],
)
async def test_what_depends_on_the_broken_entry_waits_until_it_is_put_again(fresh: Orders, path: str, change: str):
    await spoil(fresh, path, change)
    orders = [an_order(), an_order(lines=TOFU)]
    good, waits = (await fresh.post("/v1/orders:batch", orders)).json()["answers"]
    assert (good["status"], waits["status"]) == (201, 503)
    answer = await fresh.post("/v1/orders", orders[1])
    assert (answer.status_code, answer.json()["code"]) == (503, "catalogue-entry-unreadable")
    assert path in answer.json()["detail"]
    assert answer.headers["retry-after"] == "30"
    assert (await fresh.get(f"/v1/catalog/{path.split('/')[0]}")).status_code == 200
    assert (await fresh.put(path, CATALOG[path])).status_code == 200
    assert (await fresh.post("/v1/orders", orders[1])).status_code == 201
    assert (await ready(fresh))[1] == health.CheckResult(True, "all entries can be read")


@pytest.mark.parametrize("path", ["terminals/stall-1", "market-days/sat"])
async def test_a_terminal_waits_for_its_own_entries(fresh: Orders, path: str):
    await spoil(fresh, path, "'{}'")
    answer = await sync(fresh)
    assert (answer.status_code, answer.json()["code"]) == (503, "catalogue-entry-unreadable")
    await fresh.put(path, CATALOG[path])
    assert (await sync(fresh)).status_code == 200


async def test_an_unreadable_market_day_stops_its_orders_and_campaigns_only(fresh: Orders):
    assert (await fresh.put("market-days/sun", CATALOG["market-days/sat"] | {"waves": []})).status_code == 200
    await spoil(fresh, "market-days/sat", "jsonb_set(body, '{waves}', '7')")
    for answer in (
        await fresh.post("/v1/orders", an_order()),
        await fresh.post("/v1/campaigns", a_campaign(), "leader"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "catalogue-entry-unreadable")
    assert (await fresh.post("/v1/orders", an_order(market_day="sun"))).status_code == 201
    assert (await fresh.put("market-days/sat", CATALOG["market-days/sat"])).status_code == 200  # its waves are its own
    await fresh.place()


async def test_the_log_names_a_broken_entry_once(fresh: Orders):
    await spoil(fresh, "items/tofu", "'{}'")
    with structlog.testing.capture_logs() as log:
        await fresh.place()
        await fresh.place()
    assert [line["entry"] for line in log if line["event"] == "catalogue entry can't be read"] == ["items/tofu"]


@pytest.mark.seeded
async def test_a_reader_that_dies_of_one_row_is_caught(fresh: Orders, monkeypatch: pytest.MonkeyPatch):
    def dies(kind: str, id: str, text: str) -> Any:
        return KINDS[kind].model_validate({"id": id, **orjson.loads(text)})

    monkeypatch.setattr(postgres_catalog, "_entry_of", dies)
    await spoil(fresh, "stations/guandu", LAT_NULL)
    assert (await fresh.post("/v1/orders", an_order())).status_code == 500


async def test_prices_and_totals_stay_within_their_columns(orders: Orders):
    most = CATALOG["prices/honey-app"] | {"channel": "live", "price_fen": 100_000_000}
    assert (await orders.put("prices/honey-live", most)).status_code == 200
    assert "#/price_fen" in await faults(orders, "prices/honey-live", most | {"price_fen": 10**18})
    lines = [{"item": "honey", "quantity": 1_000_000}]
    answer = await orders.post("/v1/orders", an_order(channel="live", lines=lines))
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/lines")
    assert (await orders.post("/v1/orders", an_order(channel="live"))).json()["total_fen"] == 200_000_000


async def test_instants_at_the_edge_of_the_calendar(orders: Orders):
    for edge in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"):
        price = CATALOG["prices/honey-app"] | {"effective_from": edge}
        assert await faults(orders, "prices/x", price) == {
            "#/effective_from": "must be a time in the years 2000 to 2100"
        }
    assert "#/closes_at" in await faults(orders, "points/x", CATALOG["points/gate"] | {"closes_at": "99:99"})
