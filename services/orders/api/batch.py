"""Many orders in one request: each is judged alone, so a bad one never spoils its neighbours.

A body is counted before it is parsed, and worked through in slices: whatever comes, other requests are answered
meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar
from uuid import UUID

import orjson
from pydantic import ValidationError

from services.kit.http import problems
from services.kit.http.body import Body
from services.kit.http.problems import Problem
from services.kit.ids import id_of_request
from services.orders.api.schemas.order import NewOrder, accepted
from services.orders.commands.place_orders import Intake

B = TypeVar("B", bound=Body)
LIMIT = 1_000
BODY_LIMIT = 2 * 1024 * 1024
PARTS = 200 * LIMIT
"""Objects and arrays in a body; an order has at most 106, and the rest is room for brackets in its texts."""

SLICE = 20
"""Items between two looks at what else there is to do: about a millisecond's work."""

_BOM = b"\xef\xbb\xbf"


def split(content: bytes) -> list[Any]:
    """The orders of a body: the values of a JSON array, or the lines of NDJSON as bytes that nobody has parsed yet.

    Raises a 400 or 422 problem for a body that is neither, or has none or more than 1 000 of them.
    """
    content = content.removeprefix(_BOM)
    found: list[Any]
    if content.lstrip().startswith(b"["):
        if content.count(b"[") + content.count(b"{") > PARTS:
            raise problems.unprocessable("", f"a batch has 1 to {LIMIT} orders, this one has more")
        found = _parse(content)
    else:
        if (lines := content.count(b"\n")) > 2 * LIMIT:  # as many empty lines as others are no reason to refuse
            raise problems.unprocessable("", f"a batch has 1 to {LIMIT} orders, this one has {lines} lines")
        found = [line for line in content.split(b"\n") if line.strip()]
    if not 0 < len(found) <= LIMIT:
        raise problems.unprocessable("", f"a batch has 1 to {LIMIT} orders, this one has {len(found)}")
    return found


def _parse(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as wrong:
        raise Problem(400, "malformed", "Not JSON", str(wrong)) from None


async def each(items: Sequence[Any], answer: Callable[[int, Any], Coroutine[Any, Any, dict[str, Any]]]) -> list[Any]:
    """What `answer(n, item)` gives for each, in order. They run at once, begun a slice at a time."""
    begun = []
    async with asyncio.TaskGroup() as group:
        for n, item in enumerate(items):
            begun.append(group.create_task(answer(n, item)))
            if n % SLICE == SLICE - 1:
                await asyncio.sleep(0)
    return [task.result() for task in begun]


async def take(intake: Intake, items: Sequence[Any], key: str | None, path: str) -> list[dict[str, Any]]:
    """One answer for each order, in order: `status`, `order_id` where there is one, and `order` or `problem`.

    The request's idempotency key stands for the orders that bring no id: each gets one made of it and its place.
    """

    async def answer(n: int, item: Any) -> dict[str, Any]:
        return await _take(intake, n, item, key, path)

    return await each(items, answer)


async def _take(intake: Intake, n: int, item: Any, key: str | None, path: str) -> dict[str, Any]:
    id: UUID | None = None
    try:
        body = read(NewOrder, _parse(item) if isinstance(item, bytes) else item)
        own_key = f"{key}/{n}" if key and body.order_id is None else None
        id = id_of_request(own_key, body.order_id)
        order = await intake.submit(id, body)
        return {"status": 201, "order_id": id, "order": accepted(order)}
    except Exception as error:
        problem = problems.of(error)
        return {"status": problem.status, "order_id": id, "problem": problem.body(path)}


def read(model: type[B], item: Any) -> B:
    """One item of a batch as a body. Raises a `Problem` with JSON pointers into the item."""
    try:
        return model.model_validate(item)
    except ValidationError as wrong:
        raise problems.invalid(wrong.errors(include_url=False, include_input=False), item) from None
