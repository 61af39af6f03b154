"""Dead letters as the operator meets them over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from services.kit.transaction.message import Record
from tests.integration.probe.service import BROKEN, Add
from tests.integration.probe.world import World, record
from tests.integration.test_http import SERVICE, make_client, make_context

pytestmark = pytest.mark.stack


@pytest.fixture
async def operator(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the operator's token, on the probe's database."""
    async with make_client(make_context(world.settings, world.pool)) as client:
        client.headers["Authorization"] = "Bearer operator"
        yield client


async def dead_lettered(world: World, count: int = 2) -> None:
    """Dead-letter records of account a: the first fails, the others queue behind it."""
    adds = [Add(account="a", n=n, fail="unprocessable" if n == 1 else "") for n in range(1, count + 1)]
    records: list[Record] = [record(add, n, id=str(uuid4())) for n, add in enumerate(adds)]
    await SERVICE.processors(make_context(world.settings, world.pool))[0].handle(records)


async def test_dead_letters_are_seen_and_tried_again(operator: httpx2.AsyncClient, world: World) -> None:
    await dead_lettered(world)
    assert (await operator.get("/v1/parked", headers={"Authorization": "Bearer buyer"})).status_code == 403
    page = (await operator.get("/v1/parked", params={"limit": 1})).json()
    assert (page["parked"][0]["scope"], page["parked"][0]["attempts"]) == ("a", 1)
    rest = await operator.get("/v1/parked", params={"cursor": page["next"]})
    assert [one["error"] for one in rest.json()["parked"]] == ["queued behind a dead letter of its scope"]

    async def redrive() -> Any:
        return (await operator.post("/v1/parked:redrive", json={"scope": "a"})).json()

    again = await redrive()
    assert again["results"][0]["done"] == 0
    assert "unprocessable" in again["results"][0]["error"]
    BROKEN.discard("unprocessable")
    try:
        assert (await redrive())["results"] == [
            {"consumer": "probe.probe.in.v1", "done": 2, "error": None, "more": False}
        ]
    finally:
        BROKEN.add("unprocessable")
    assert await world.effects() == {"a": [1, 2]}
    assert (await redrive())["results"] == []


async def test_a_dead_letter_is_given_up_with_a_reason(operator: httpx2.AsyncClient, world: World) -> None:
    await dead_lettered(world)
    first = (await operator.get("/v1/parked")).json()["parked"][0]["id"]

    async def discard(id: object, **body: str) -> int:
        answer = await operator.post(f"/v1/parked/{id}:discard", json=body)
        return answer.status_code

    assert await discard(first) == 422
    assert await discard(first, why="a test") == 204
    assert await discard(first, why="a test") == 204
    assert await discard(first, why="again") == 404
    assert await discard(10**12, why="nothing") == 404
    assert await discard("x", why="nothing") == 422
    kept = (await operator.get(f"/v1/parked/{first}")).json()
    assert kept["why"] == "a test"
    assert (await operator.get("/v1/parked/999999")).status_code == 404
