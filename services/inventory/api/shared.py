"""What the routes share: who may call, effects that happen once, and what the catalogue must know."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import Depends, Request, Response
from pydantic import ValidationError

from contracts.registry import MODELS
from contracts.values import iso
from services.inventory.api.schemas.stock import AHEAD, Goods
from services.inventory.repository import queries
from services.inventory.repository.stock import StockRepository
from services.kit.context import Context
from services.kit.http import idempotency, problems
from services.kit.http.dependencies import context_of, require
from services.kit.transaction.outbox import Connection
from services.kit.transaction.unit_of_work import UnitOfWork

Here = Annotated[Context, Depends(context_of)]
Operator = Annotated[str, Depends(require("operator"))]
Stallholder = Annotated[str, Depends(require("operator", "terminal"))]
Anyone = Annotated[str, Depends(require("operator", "terminal", "courier", "leader", "buyer"))]

NOT_KNOWN = "not-known-yet"
Work = Callable[[StockRepository], Awaitable[Mapping[str, Any]]]


async def once(context: Context, role: str, scope: str, id: UUID, content: Mapping[str, Any], work: Work) -> Response:
    """201 with what `work` answers, in one transaction with its effects; the same request again gets the same
    answer without them, another one under the same id is a 409 that is kept.
    """
    async with context.unit() as uow:
        hashed = idempotency.content_hash(content)
        verdict = (await idempotency.replay_or_claim(uow.conn, scope, [str(id)], [hashed]))[0]
        if verdict.seen is idempotency.Seen.NEW:
            # default: asyncpg has a UUID class of its own
            answer = orjson.dumps(await work(book_of(uow, role)), default=str)
            await idempotency.remember(uow.conn, scope, {str(id): (201, answer)})
            return Response(answer, 201, media_type="application/json")
    if verdict.seen is idempotency.Seen.REPEAT:
        return Response(verdict.response, verdict.status or 201, media_type="application/json")
    raise problems.conflict(f"{scope} {id} was used for another request", "id-reused")


def book_of(uow: UnitOfWork, role: str) -> StockRepository:
    """The book of a request; movements are written down as made by the role."""
    return StockRepository(uow, f"{uow.consumer}/{role}")


async def known(conn: Connection, kind: str, id: str) -> dict[str, Any]:
    """A catalogue entity. Raises 503 while its event has not arrived here, as it may be on its way, and while what
    arrived can't be read.
    """
    found = await queries.catalog(conn, kind, id)
    if found is None:
        raise problems.unavailable(1, f"{kind} {id} is not known here: it is on its way or does not exist", NOT_KNOWN)
    try:
        MODELS[f"market.orders.{kind}-put.v1"].model_validate(found)
    except ValidationError:
        why = f"catalogue entry {kind}/{id} can't be read here: put it again with a change"
        raise problems.unavailable(30, why, "catalogue-entry-unreadable") from None
    return found


def not_ahead(moment: datetime | None, now: datetime, pointer: str) -> None:
    """Raises 422 for a past time that lies more than `AHEAD` in the future of business time."""
    if moment and moment > now + AHEAD:
        minutes = int(AHEAD.total_seconds() / 60)
        raise problems.unprocessable(pointer, f"must not be later than now ({iso(now)}) and {minutes} minutes")


async def known_goods(conn: Connection, body: Goods) -> None:
    """Raises 503 while the item or the pool's market day is not known here, 422 for grams of what is not weighed."""
    await known_pool(conn, body.pool)
    item = await known(conn, "item", body.item)
    if body.weight_g is not None and item["unit"] != "gram":
        raise problems.unprocessable("/weight_g", f"{body.item} is not weighed: say quantity")


async def known_terminal(conn: Connection, terminal: str, pool: str) -> None:
    """Raises 503 while the terminal is not known here, 422 where it stands at another site than the pool's: what it
    sells would be counted there.
    """
    site = (await known(conn, "terminal", terminal))["site"]
    if site != pool.partition("@")[2]:
        raise problems.unprocessable("/terminal", f"terminal {terminal} is at {site}, not at the site of {pool}")


async def known_pool(conn: Connection, pool: str) -> None:
    """Raises 503 while no market day with this site is known here."""
    market_day, _, site = pool.partition("@")
    found = await known(conn, "market-day", market_day)
    if site not in {day["site"] for day in found["sites"]}:
        where = f"site {site} of market day {market_day}"
        raise problems.unavailable(1, f"{where} is not known here: it is on its way or does not exist", NOT_KNOWN)


def tagged(request: Request, content: Mapping[str, Any]) -> Response:
    """The content under an ETag of its bytes; 304 where the client has it already."""
    body = orjson.dumps(content, default=str)
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body, headers={"ETag": tag}, media_type="application/json")
