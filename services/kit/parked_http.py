"""Dead letters over HTTP, for the operator: see what is parked, try it again, or give it up with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from services.kit import parking, problems, relay
from services.kit.http import Body, require

if TYPE_CHECKING:
    from services.kit.process import Context


class Redrive(Body):
    """What to try again: all that is parked under a scope, for one consumer or for every one that has parked it."""

    scope: str = Field(min_length=1, max_length=400)
    consumer: str | None = Field(default=None, max_length=200)


class Discard(Body):
    """Why a record is given up; the reason is kept."""

    why: str = Field(min_length=1, max_length=1000)


def router(context: Context) -> APIRouter:
    """The four routes under `/v1/parked`, for the operator only."""
    routes = APIRouter(prefix="/v1", tags=["parked"], dependencies=[Depends(require("operator"))])
    consumers = context.consumers()

    @routes.get("/parked")
    async def listing(
        limit: Annotated[int, Query(ge=1, le=500)] = 100, cursor: Annotated[int, Query(ge=0, lt=2**63)] = 0
    ) -> dict[str, Any]:
        """What waits, oldest first."""
        async with context.unit() as uow:
            found = await parking.listing(uow.conn, after=cursor, limit=limit)
        following = found[-1].id if len(found) == limit else None
        return {"parked": [parking.fields(one) for one in found], "next": following}

    @routes.get("/parked/{id}")
    async def one(id: int) -> dict[str, Any]:
        """One parked record, also after it was given up."""
        async with context.unit() as uow:
            found = await parking.listing(uow.conn, id=id) if 0 < id < 2**63 else []
        if not found:
            raise problems.not_found(f"parked record {id}")
        return parking.fields(found[0])

    @routes.post("/parked:redrive")
    async def redrive(body: Redrive) -> dict[str, Any]:
        """Handles the scope's records in order until one fails again; harmless when nothing is parked."""
        async with context.unit() as uow:
            blocked = await parking.consumers_of(uow.conn, body.scope)
        results = [
            {"consumer": name} | await _redrive(context, name, body.scope)
            for name in blocked
            if body.consumer in {None, name} and (name in consumers or name == _relay(context))
        ]
        return {"scope": body.scope, "results": results}

    async def _redrive(context: Context, consumer: str, scope: str) -> dict[str, Any]:
        if consumer == _relay(context):
            async with context.unit() as uow:
                return {"done": await relay.release(uow.conn, context.service.name, scope), "error": None}
        redriven = await consumers[consumer].redrive(scope)
        return {"done": redriven.done, "error": redriven.error}

    @routes.post("/parked/{id}:discard", status_code=204)
    async def discard(id: int, body: Discard) -> None:
        """Gives a record up for ever; the next of its scope may then run."""
        async with context.unit() as uow:
            if not (0 < id < 2**63) or not await parking.discard(uow.conn, id, body.why):
                raise problems.not_found(f"parked record {id}")

    return routes


def _relay(context: Context) -> str:
    return f"{context.service.name}.relay"
