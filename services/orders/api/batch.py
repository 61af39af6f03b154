"""Many orders in one request: each is judged alone, so a bad one never spoils its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

import orjson
from pydantic import ValidationError

from services.kit import problems
from services.kit.body import Body
from services.kit.ids import id_of_request
from services.kit.problems import Fault, Problem
from services.orders.api.intake import Intake
from services.orders.schemas import NewOrder, accepted

B = TypeVar("B", bound=Body)
LIMIT = 1_000
BODY_LIMIT = 2 * 1024 * 1024


def split(content: bytes) -> list[Any]:
    """The orders of a body as JSON values: an array, or one a line (NDJSON). A line that is not JSON is a `Problem`.

    Raises a 400 or 422 problem for a body that is neither, or has none or more than 1 000 of them.
    """
    if content.lstrip().startswith(b"["):
        try:
            found: list[Any] = orjson.loads(content)
        except orjson.JSONDecodeError as wrong:
            raise Problem(400, "malformed", "Not JSON", str(wrong)) from None
    else:
        found = [_line(line) for line in content.splitlines() if line.strip()]
    if not 0 < len(found) <= LIMIT:
        raise problems.unprocessable("", f"a batch has 1 to {LIMIT} orders, this one has {len(found)}")
    return found


def _line(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as wrong:
        return Problem(400, "malformed", "Not JSON", str(wrong))


async def take(intake: Intake, items: Sequence[Any], key: str | None, path: str) -> list[dict[str, Any]]:
    """One answer for each order, in order: `status`, `order_id` where there is one, and `order` or `problem`.

    The request's idempotency key stands for the orders that bring no id: each gets one made of it and its place.
    """
    return list(await asyncio.gather(*(_take(intake, n, item, key, path) for n, item in enumerate(items))))


async def _take(intake: Intake, n: int, item: Any, key: str | None, path: str) -> dict[str, Any]:
    id: UUID | None = None
    try:
        body = read(NewOrder, item)
        own_key = f"{key}/{n}" if key and body.order_id is None else None
        id = id_of_request(own_key, body.order_id)
        order = await intake.submit(id, body)
        return {"status": 201, "order_id": id, "order": accepted(order)}
    except Exception as error:
        problem = problems.of(error)
        return {"status": problem.status, "order_id": id, "problem": problem.body(path)}


def read(model: type[B], item: Any) -> B:
    """One item of a batch as a body. Raises a `Problem` with JSON pointers into the item."""
    if isinstance(item, Problem):
        raise item
    try:
        return model.model_validate(item)
    except ValidationError as wrong:
        faults = [
            Fault(f"#{''.join(f'/{part}' for part in e['loc'])}", e["msg"]) for e in wrong.errors(include_input=False)
        ]
        detail = f"{faults[0].pointer}: {faults[0].message}"
        raise Problem(422, "unprocessable", "Unusable content", detail, errors=faults) from None
