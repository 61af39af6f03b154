"""The fast path: well-formed requests take it, the app answers all others as if there were none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx2
import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.values import Principal
from services.kit.http import problems
from services.kit.http.body import Body
from services.kit.http.fast_path import FastPath, FastPathMiddleware


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
