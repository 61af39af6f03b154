"""Many orders in one request: each is judged alone, so a bad one does not affect the others.

A body is counted before it is parsed, and processed in slices, so other requests are answered meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar
from uuid import UUID

import orjson
from pydantic import ValidationError

from contracts.values import Principal
from services.kit.http import problems
from services.kit.http.body import Body
from services.kit.http.problems import Problem
from services.orders.api.schemas.order import NewOrder
from services.orders.api.schemas.order_views import accepted, with_capability
from services.orders.commands.use_cases import UseCases

B = TypeVar("B", bound=Body)
LIMIT = 1_000
BODY_LIMIT = 2 * 1024 * 1024
PARTS = 200 * LIMIT
"""The limit of objects and arrays in a body: an order has at most 106; the rest allows for brackets in its texts."""

SLICE = 20
"""The number of items that are started before other tasks may run: about a millisecond's work."""

_BOM = b"\xef\xbb\xbf"


def split(content: bytes) -> list[Any]:
    """Return the orders of a body: the values of a JSON array, or the lines of NDJSON as bytes that are not parsed yet.

    Raises a 400 or 422 problem for a body that is neither, or has no orders or more than 1 000.
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
        raise Problem(400, "malformed", "Malformed JSON", str(wrong)) from None


async def each(items: Sequence[Any], answer: Callable[[int, Any], Coroutine[Any, Any, dict[str, Any]]]) -> list[Any]:
    """Return the result of `answer(n, item)` for each, in order. They run concurrently, started a slice at a time."""
    started = []
    async with asyncio.TaskGroup() as group:
        for n, item in enumerate(items):
            started.append(group.create_task(answer(n, item)))
            if n % SLICE == SLICE - 1:
                await asyncio.sleep(0)
    return [task.result() for task in started]


async def place(
    app: UseCases, items: Sequence[Any], caller: Principal, key: str | None, path: str
) -> list[dict[str, Any]]:
    """Return one answer for each order, in order: `status`, `order_id` where there is one, and `order` or `problem`.

    An order without an id gets one that follows from the request's idempotency key and its place.
    """

    async def answer(n: int, item: Any) -> dict[str, Any]:
        return await _place(app, n, item, caller, key, path)

    return await each(items, answer)


async def _place(app: UseCases, n: int, item: Any, caller: Principal, key: str | None, path: str) -> dict[str, Any]:
    id: UUID | None = None
    try:
        body = read(NewOrder, _parse(item) if isinstance(item, bytes) else item)
        command = body.command(f"{key}/{n}" if key and body.order_id is None else None, caller)
        id = command.id
        order = await app.place_orders.submit(command)
        view = accepted(order)
        if body.owner_digest is not None:
            view = with_capability(view, app.capability_key)
        return {"status": 201, "order_id": id, "order": view}
    except Exception as error:
        problem = problems.of(error)
        return {"status": problem.status, "order_id": id, "problem": problem.body(path)}


def read(model: type[B], item: Any) -> B:
    """Parse one item of a batch as a body. Raises a `Problem` with JSON pointers into the item."""
    try:
        return model.model_validate(item)
    except ValidationError as wrong:
        raise problems.invalid(wrong.errors(include_url=False, include_input=False), item) from None
