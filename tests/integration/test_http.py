"""The HTTP edge: roles, problem documents, limits, ids, docs, health."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

import httpx2
import pytest
import structlog
from fastapi import APIRouter, Depends

from contracts.scopes import KINDS, Scope
from contracts.values import Principal
from services.kit.clock import Clock
from services.kit.context import Context
from services.kit.errors import CommitUnknown, Overloaded
from services.kit.http.body import Body
from services.kit.http.dependencies import IdempotencyKey, require
from services.kit.http.health import Readiness
from services.kit.http.operations import create_operations, documents
from services.kit.process import readiness
from services.kit.process.api import create_api
from services.kit.process.service import Service
from services.kit.settings import Settings
from services.kit.transaction.ports import Ports
from services.kit.transaction.unit_of_work import CORRELATION, TRACEPARENT
from tests.integration.probe.service import MIGRATIONS, MODELS, ProbeBook, on_due, subscription
from tests.tokens import Issuer

ROLES = ("operator", "buyer", "courier")
router = APIRouter(prefix="/v1")


class Line(Body):
    item: str
    quantity: int


class Order(Body):
    order_id: str | None = None
    lines: list[Line] = []


@router.post("/orders", status_code=201)
async def place(
    order: Order, caller: Annotated[Principal, Depends(require(Scope.ORDER_WRITE))], key: IdempotencyKey = None
) -> dict[str, Any]:
    return {"subject": caller.subject, "key": key, "lines": len(order.lines)}


@router.post("/orders:batch", max_body_size=2_000_000)
async def batch(orders: list[Order]) -> int:
    return len(orders)


@router.post("/orders/{order}:cancel")
async def cancel(order: str) -> str:
    return order


@router.get("/orders/{order}")
async def one(order: str) -> str:
    return order


@router.get("/fails/{how}")
async def fails(how: str) -> None:
    raise {
        "unknown": CommitUnknown("lost at COMMIT"),
        "busy": Overloaded("5000 requests wait already"),
        "bug": RuntimeError("hunter2"),
    }[how]


@router.get("/whoami")
async def whoami() -> dict[str, str | None]:
    bound = structlog.contextvars.get_contextvars()
    return {
        "correlation": CORRELATION.get(),
        "trace": TRACEPARENT.get(),
        "log": bound.get("request"),
        "of_client": bound.get("client_request_id"),
    }


SERVICE = Service(
    name="probe",
    migrations=MIGRATIONS,
    subscriptions=(subscription(),),
    open_repository=ProbeBook,
    models=MODELS,
    on_due=on_due,
    routes=(router,),
)


def make_context(settings: Settings, pool: Any = None) -> Context:
    """A context of the probe service; without a pool, whatever needs a database fails."""
    tokens = {role: hashlib.sha256(role.encode()).hexdigest() for role in ROLES}
    return Context(settings.model_copy(update={"tokens": tokens}), Ports(Clock()), pool, lambda: None, SERVICE.name)


def token(role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {role}"}


def make_client(context: Context) -> httpx2.AsyncClient:
    """A client of the app, without a socket."""
    app = create_api(SERVICE, context)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test", headers=token("buyer"))


def operations_client(context: Context, peer: str = "127.0.0.1") -> httpx2.AsyncClient:
    """A client of the operations pages, from this address."""
    state = Readiness()
    state.checks |= readiness.api_checks(SERVICE, context)
    app = create_operations(SERVICE.name, state)
    app.router.routes.extend(documents(create_api(SERVICE, context)))
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app, client=(peer, 4711)), base_url="http://test")


@pytest.fixture
async def operations() -> AsyncIterator[httpx2.AsyncClient]:
    async with operations_client(make_context(Settings(database_url="postgresql://nowhere"))) as client:
        yield client


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with make_client(make_context(Settings(database_url="postgresql://nowhere"))) as client:
        yield client


async def test_callers(http: httpx2.AsyncClient) -> None:
    del http.headers["Authorization"]

    async def status(headers: dict[str, str]) -> int:
        return (await http.post("/v1/orders", json={}, headers=headers)).status_code

    assert await status({}) == 401
    assert await status({"Authorization": "Basic buyer"}) == 401
    assert await status(token("nobody")) == 401
    assert await status(token("courier")) == 403
    assert await status(token("buyer")) == 201
    refused = await http.post("/v1/orders", json={})
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json()["code"] == "unauthorized"


async def test_a_request_without_a_credential_is_answered_before_its_body_is_read(http: httpx2.AsyncClient) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    for path in ("/v1/orders", "/v1/orders:batch", "/v1/nowhere"):
        answer = await http.post(path, content=body(), headers={"Authorization": "Bearer nobody"})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_local_token_is_refused_behind_the_front_door(http: httpx2.AsyncClient) -> None:
    for role in ROLES:
        answer = await http.post("/v1/orders", json={}, headers=token(role) | {"Forwarded": "for=192.0.2.1"})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


async def test_every_error_is_a_problem_document(http: httpx2.AsyncClient) -> None:
    requests = {
        404: http.get("/v1/nowhere"),
        405: http.delete("/v1/orders"),
        400: http.post("/v1/orders:batch", content="{", headers={"content-type": "application/json"}),
        422: http.post("/v1/orders:batch", json=[{"lines": 1}]),
        413: http.post("/v1/orders", content=b"x" * 300_000, headers={"content-type": "application/json"}),
        503: http.get("/v1/fails/unknown"),
        429: http.get("/v1/fails/busy"),
        500: http.get("/v1/fails/bug"),
    }
    for status, request in requests.items():
        answer = await request
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail", "instance", "code", "errors"} == set(answer.json())
        assert answer.headers["x-request-id"]
        assert "hunter2" not in answer.text
        assert ("retry-after" in answer.headers) == (status in {429, 503})


async def test_an_action_that_is_not_there_does_not_exist(http: httpx2.AsyncClient) -> None:
    assert (await http.post("/v1/orders/7:cancel")).status_code == 200
    missing = await http.post("/v1/orders/7:explode")
    assert (missing.status_code, missing.json()["detail"]) == (404, "action :explode does not exist")
    assert (await http.put("/v1/orders/7:cancel")).status_code == 405
    assert (await http.post("/v1/orders/7")).status_code == 405


async def test_a_slash_at_the_end_is_another_path(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/orders/", json={}, headers=token("buyer"))
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_what_is_wrong_is_pointed_at(http: httpx2.AsyncClient) -> None:
    body = {"lines": [{"item": "a", "quantity": "many"}], "colour": "red"}
    answer = await http.post("/v1/orders", json=body, headers=token("buyer"))
    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {"#/lines/0/quantity", "#/colour"}


@pytest.mark.parametrize("text", ["a\x00", "\ud800"], ids=["nul", "surrogate"])
async def test_text_that_no_database_takes_is_refused(http: httpx2.AsyncClient, text: str) -> None:
    escaped = text.encode("unicode_escape").decode().replace("\\x00", "\\u0000")
    raw = f'{{"lines": [{{"item": "{escaped}", "quantity": 1}}]}}'
    headers = {"content-type": "application/json", **token("buyer")}
    answer = await http.post("/v1/orders", content=raw, headers=headers)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("raw", ["[" * 100_000, "\xff", "", "null", "1e999", '{"lines":' * 3000])
async def test_no_body_breaks_it(http: httpx2.AsyncClient, raw: str) -> None:
    headers = {"content-type": "application/json", **token("buyer")}
    answer = await http.post("/v1/orders", content=raw.encode("latin-1"), headers=headers)
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_limits_are_per_route_and_hold_without_a_length(http: httpx2.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 50_000

    headers = {"content-type": "application/json"}
    big = b"[" + b" " * 1_000_000 + b"]"
    assert (await http.post("/v1/orders:batch", content=big, headers=headers)).status_code == 200
    answer = await http.post("/v1/orders", content=chunks(), headers=headers | token("buyer"))
    assert answer.status_code == 413
    assert answer.json()["code"] == "too-large"


async def test_the_idempotency_key_is_bounded(http: httpx2.AsyncClient) -> None:
    async def post(key: str) -> httpx2.Response:
        return await http.post("/v1/orders", json={}, headers=token("buyer") | {"Idempotency-Key": key})

    assert (await post("k")).json()["key"] == "k"
    assert [(await post(key)).status_code for key in ("", "k" * 128, "k" * 129)] == [422, 201, 422]


async def test_one_id_for_the_whole_flow(http: httpx2.AsyncClient) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = await http.get("/v1/whoami", headers={"X-Request-Id": "mine-1", "traceparent": trace})
    assert answer.json() == {"correlation": "mine-1", "trace": trace, "log": "mine-1", "of_client": None}
    assert answer.headers["x-request-id"] == "mine-1"
    made = await http.get("/v1/whoami", headers={"X-Request-Id": "bad id\n".strip() + "!", "traceparent": "junk"})
    assert made.json()["trace"] is None
    assert made.json()["correlation"] == made.headers["x-request-id"] != "bad id!"
    number = await http.get("/v1/whoami", headers={"X-Request-Id": "call-13907312006"})
    assert "13907312006" not in number.json()["correlation"]


async def test_the_id_and_trace_of_a_stranger_are_logged_and_go_no_further() -> None:
    issuer = Issuer()
    app = create_api(SERVICE, make_context(Settings(database_url="postgresql://nowhere")), issuer.directory)
    resident = issuer.headers("resident.1", KINDS["resident"], datetime.now(UTC))
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    named = {"X-Request-Id": "mine-1", "traceparent": trace}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as http:
        answer = await http.get("/v1/whoami", headers=resident | named)
        found = answer.json()
        assert (found["trace"], found["of_client"]) == (None, "mine-1")
        assert found["correlation"] == found["log"] == answer.headers["x-request-id"] != "mine-1"
        assert (await http.get("/v1/whoami", headers=named)).headers["x-request-id"] != "mine-1"
        through = {"Forwarded": 'for="192.0.2.7:4711"', "X-Request-Id": "of-the-door"}
        assert (await http.get("/v1/whoami", headers=resident | through)).json()["correlation"] == "of-the-door"


async def test_docs_come_from_own_files(operations: httpx2.AsyncClient) -> None:
    page = await operations.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    assert "script-src" not in page.headers["content-security-policy"], "own files only, nothing inline"
    for path in ("/docs/docs.js", "/docs/docs.css"):
        assert (await operations.get(path)).status_code == 200
        assert path in page.text
    events = await operations.get("/asyncapi")
    assert events.status_code == 200
    assert "https://" not in events.text
    for path in ("/asyncapi.yaml", "/schemas/orders.order-placed.v1.json"):
        assert (await operations.get(path)).status_code == 200
    api = (await operations.get("/openapi.json")).json()
    assert {"/v1/orders", "/v1/parked", "/v1/parked:redrive"} <= set(api["paths"])
    answers = api["paths"]["/v1/orders"]["post"]["responses"]
    assert set(answers) == {"201", "4XX", "5XX"}
    schema = answers["4XX"]["content"]["application/problem+json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Problem"}
    assert "code" in api["components"]["schemas"]["Problem"]["properties"]


async def test_live_ready_and_metrics(http: httpx2.AsyncClient, operations: httpx2.AsyncClient) -> None:
    for client in (http, operations):
        assert (await client.get("/live")).json() == {"live": True, "service": "probe"}
    ready = await operations.get("/ready")
    assert ready.status_code == 503
    assert ready.json()["reasons"][0].startswith("database: ")
    await http.get("/v1/fails/busy")
    metrics = (await operations.get("/metrics")).text
    assert 'halfday_http_seconds_count{method="GET",route="/v1/fails/{how}",status="429"}' in metrics


@pytest.mark.parametrize(
    "path",
    ["/ready", "/metrics", "/docs", "/docs/docs.js", "/openapi.json", "/asyncapi", "/asyncapi.yaml", "/schemas/x"],
)
async def test_the_port_of_the_api_has_no_operations_page(http: httpx2.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


async def test_a_stranger_reads_no_reasons() -> None:
    context = make_context(Settings(database_url="postgresql://nowhere"))
    async with operations_client(context, "192.0.2.7") as stranger, operations_client(context) as operator:
        told = await stranger.get("/ready")
        assert told.status_code == 503
        assert told.json() == {"ready": False, "service": "probe", "reasons": ["database"], "degraded": []}
        through_a_proxy = await operator.get("/ready", headers={"Forwarded": "for=192.0.2.7"})
        assert through_a_proxy.json() == told.json()
        assert (await operator.get("/ready")).json()["checks"]["database"]["detail"]
