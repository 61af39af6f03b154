"""The fast path: well-formed requests take it, the app answers all others as if there were none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Annotated, Any

import httpx2
import orjson
import pytest
from fastapi import APIRouter, Depends, Header
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.values import Principal
from services.kit.http import problems
from services.kit.http.body import Body
from services.kit.http.dependencies import IdempotencyKey, use_cases
from services.kit.http.fast_path import FastPath, FastPathMiddleware, check


class Thing(Body):
    n: int


BUYER = Principal("b1", "resident", frozenset())


async def caller(request: Request) -> Principal:
    if request.headers.get("authorization") != "Bearer right":
        raise problems.unauthorized("no")
    return BUYER


async def endpoint(body: Thing, _use_cases: object, caller: Principal, key: str | None) -> Response:
    if body.n < 0:
        raise problems.conflict("less than nothing")
    return Response(f"fast {body.n} {caller.subject} {key}", 201)


async def app(request: Request) -> Response:
    return Response(b"app " + await request.body())


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    slow = Starlette(routes=[Route("/things", app, methods=["GET", "POST"]), Route("/others", app, methods=["POST"])])
    fast = FastPath("/things", Thing, caller, endpoint, limit=40)
    owner = SimpleNamespace(state=SimpleNamespace(fast_paths={fast.path: fast}, use_cases=None))
    transport = httpx2.ASGITransport(app=FastPathMiddleware(slow, owner))
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as found:
        yield found


GOOD = {"content": b'{"n": 1}', "headers": {"authorization": "Bearer right", "content-type": "application/json"}}


async def test_what_is_right_takes_the_fast_path(client: httpx2.AsyncClient):
    answer = await client.post("/things", **GOOD)
    assert (answer.status_code, answer.text) == (201, "fast 1 b1 None")
    keyed = await client.post("/things", content=GOOD["content"], headers={**GOOD["headers"], "idempotency-key": "k"})
    assert keyed.text == "fast 1 b1 k"


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("/others", {}),
        ("/things?dry", {}),
        ("/things", {"authorization": "Bearer wrong"}),
        ("/things", {"content-type": "text/plain"}),
        ("/things", {"idempotency-key": "k" * 129}),
    ],
)
async def test_anything_odd_goes_to_the_app_with_its_body(
    client: httpx2.AsyncClient, path: str, changed: dict[str, str]
):
    answer = await client.post(path, content=GOOD["content"], headers={**GOOD["headers"], **changed})
    assert answer.content == b"app " + GOOD["content"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"n": "x"}', b'{"n": 1, "m": 2}', b'{"n": 1' + b" " * 40 + b"}"])
async def test_so_does_a_body_that_is_wrong_or_long(client: httpx2.AsyncClient, content: bytes):
    answer = await client.post("/things", content=content, headers=GOOD["headers"])
    assert answer.content == b"app " + content


async def test_a_body_of_unknown_length_goes_to_the_app(client: httpx2.AsyncClient):
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"n":'
        yield b" 1}"

    answer = await client.post("/things", content=pieces(), headers=GOOD["headers"])
    assert answer.content == b'app {"n": 1}'


async def test_the_endpoints_error_is_a_problem(client: httpx2.AsyncClient):
    answer = await client.post("/things", content=b'{"n": -1}', headers=GOOD["headers"])
    found: Any = orjson.loads(answer.content)
    assert (answer.status_code, found["code"]) == (409, "conflict")


Things = Annotated[object, Depends(use_cases)]
Caller = Annotated[Principal, Depends(caller)]


async def plain(body: Thing, app: Things, caller: Caller, key: IdempotencyKey = None) -> Response: ...  # type: ignore[empty-body]


async def with_a_query(
    body: Thing, app: Things, caller: Caller, key: IdempotencyKey = None, dry: bool = False
) -> Response: ...  # type: ignore[empty-body]


async def with_a_header(
    body: Thing, app: Things, caller: Caller, key: IdempotencyKey = None, when: Annotated[str, Header()] = ""
) -> Response: ...  # type: ignore[empty-body]


async def with_a_dependency(
    body: Thing, app: Things, caller: Caller, limits: Annotated[None, Depends(endpoint)], key: IdempotencyKey = None
) -> Response: ...  # type: ignore[empty-body]


async def with_the_request(
    request: Request, body: Thing, app: Things, caller: Caller, key: IdempotencyKey = None
) -> Response: ...  # type: ignore[empty-body]


async def with_another_body(body: Body, app: Things, caller: Caller, key: IdempotencyKey = None) -> Response: ...  # type: ignore[empty-body]


def routed(function: Any, **more: Any) -> APIRouter:
    router = APIRouter(**more)
    router.post("/things")(function)
    return router


def test_a_route_that_asks_for_what_the_fast_path_gives() -> None:
    check(FastPath("/things", Thing, caller, plain), [routed(plain)])


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (with_a_query, "dry"),
        (with_a_header, "when"),
        (with_a_dependency, "endpoint"),
        (with_the_request, "request"),
        (with_another_body, "body"),
    ],
)
def test_a_route_that_asks_for_more_is_refused_at_the_start(function: Any, named: str) -> None:
    with pytest.raises(ValueError, match=f"does not give what its route asks for: .*{named}"):
        check(FastPath("/things", Thing, caller, function), [routed(function)])


def test_so_is_a_dependency_of_the_whole_router_and_a_route_that_is_missing() -> None:
    fast = FastPath("/things", Thing, caller, plain)
    with pytest.raises(ValueError, match="endpoint"):
        check(fast, [routed(plain, dependencies=[Depends(endpoint)])])
    with pytest.raises(ValueError, match="no route POST /things"):
        check(fast, [routed(with_a_query)])
