"""Requests with values at the edge of what types, databases and calendars hold, made from good ones."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx2

Call = Callable[..., Awaitable[httpx2.Response]]
Body = dict[str, Any]

VALUES: tuple[Any, ...] = (
    None, True, "", " ", "1", "NaN", "\x00", "a\x00b", "\ud800", "\u200b", "x" * 10_000,
    0, -1, 2**31, 2**63, 10**30, 1.5, 1e308, float("nan"), float("inf"), [], {}, [{}], {"\ud800": 1},
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2100-12-31T23:59:59Z",
    "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
)  # fmt: skip
TEXTS = (
    "", "%00", "%FF", "%ED%A0%80", "x" * 5_000, "-9000000000", "3000000000", str(10**30), "nan", "1e999",
    "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-12:00", "00000000-0000-0000-0000-000000000000",
)  # fmt: skip


def spots(body: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value in a JSON value, that of the whole first."""
    yield at
    inside = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for name, value in inside:
        yield from spots(value, (*at, name))


def changed(body: Any, at: tuple[Any, ...], value: Any) -> Any:
    """The JSON value with another one at a place."""
    if not at:
        return value
    copy = dict(body) if isinstance(body, dict) else list(body)
    copy[at[0]] = changed(copy[at[0]], at[1:], value)
    return copy


def bodies(good: Mapping[str, Body]) -> Iterator[tuple[str, str, str]]:
    """Method, path and text of every good body with every value at every place, and with a field too many."""
    for path, body in good.items():
        method = "PUT" if path.startswith(("/v1/catalog/", "/v1/members/")) else "POST"
        for at in spots(body):
            for value in VALUES:
                yield method, path, json.dumps(changed(body, at, value))
        yield method, path, json.dumps(body | {"\ud800": "\x00"})


def parameters(openapi: Body, ids: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Method, path and no body of every GET with every text for each parameter of its path and query; `ids` are good
    values for those of the path.
    """
    for path, item in openapi["paths"].items():
        if "get" not in item or not path.startswith("/v1/"):
            continue
        usual = path.format_map(ids)
        for parameter in item["get"].get("parameters", ()):
            for text in TEXTS:
                if parameter["in"] == "query":
                    yield "GET", f"{usual}?{parameter['name']}={text}", ""
                elif parameter["in"] == "path":
                    yield "GET", path.format_map({**ids, parameter["name"]: text}), ""


async def try_all(call: Call, requests: Iterator[tuple[str, str, str]], seed: int, count: int) -> None:
    """Sends a seeded choice of the requests. No answer, alone or in a list of answers, is a 500, and every error is a
    problem document.
    """
    found = list(requests)
    for method, path, text in random.Random(seed).sample(found, min(count, len(found))):
        headers = {"content-type": "application/json"} if text else {}
        answer = await call(method, quote(path, safe="/:?=&%@,+-._~"), content=text, headers=headers)
        about = f"{method} {path} {text[:300]}\n{answer.status_code} {answer.text[:300]}"
        assert answer.status_code in {200, 201, 400, 404, 405, 409, 413, 422, 503}, about
        assert '"status":500' not in answer.text, about
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json", about
            assert answer.json()["status"] == answer.status_code, about
            assert "Value error" not in answer.text, about
