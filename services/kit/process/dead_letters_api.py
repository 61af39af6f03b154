"""Dead letters over HTTP, for the operator: see what is parked, try it again, or give it up with a reason."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic import Field

from services.kit.consumer import dead_letters
from services.kit.context import Context
from services.kit.http import problems
from services.kit.http.body import Body
from services.kit.http.dependencies import Cursor, Limit, Running, require
from services.kit.process.service import Service
from services.kit.relay import relay
from services.kit.uploads import kept

router = APIRouter(prefix="/v1", tags=["parked"], dependencies=[Depends(require("operator"))])
Id = Annotated[int, Path(ge=1, lt=2**63)]


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


class Redrive(Body):
    """What to try again: all that is parked under a scope, for one consumer or for every one that has parked it."""

    scope: str = Field(min_length=1, max_length=400)
    consumer: str | None = Field(default=None, max_length=200)


class Discard(Body):
    """Why a record is given up; the reason is kept."""

    why: str = Field(min_length=1, max_length=1000)


@router.get("/parked")
async def listing(context: Running, limit: Limit = 100, cursor: Cursor = 0) -> dict[str, Any]:
    """What waits, oldest first; `next` is the cursor of the next page, null on the last."""
    async with context.unit() as uow:
        found = await dead_letters.listing(uow.conn, after=cursor, limit=limit)
    following = found[-1].id if len(found) == limit else None
    return {"parked": [dead_letters.fields(one) for one in found], "next": following}


@router.get("/parked/{id}")
async def one(context: Running, id: Id) -> dict[str, Any]:
    """One parked record, also after it was given up."""
    async with context.unit() as uow:
        found = await dead_letters.listing(uow.conn, id=id)
    if not found:
        raise problems.not_found(f"parked record {id}")
    return dead_letters.fields(found[0])


@router.post("/parked:redrive")
async def redrive(context: Running, service: Annotated[Service, Depends(_service)], body: Redrive) -> dict[str, Any]:
    """Handles the scope's records in order until one fails again; harmless when nothing is parked.

    A result with `more` ran out of time: ask again for the rest.
    """
    async with context.unit() as uow:
        blocked = await dead_letters.consumers_of(uow.conn, body.scope)
    chosen = [name for name in blocked if body.consumer in {None, name}]
    return {"scope": body.scope, "results": [await _redrive(service, context, name, body.scope) for name in chosen]}


async def _redrive(service: Service, context: Context, consumer: str, scope: str) -> dict[str, Any]:
    if consumer == f"{service.name}.relay":
        async with context.unit() as uow:
            done = await relay.release(uow.conn, service.name, scope)
        return {"consumer": consumer, "done": done, "error": None, "more": False}
    if consumer == kept.consumer_of(service.name):
        count, error = await kept.redrive(context, service.on_upload, scope)
        return {"consumer": consumer, "done": count, "error": error, "more": False}
    handling = service.consumers(context).get(consumer)
    if handling is None:
        return {"consumer": consumer, "done": 0, "error": "this version has no such consumer", "more": False}
    redriven = await handling.redrive(scope)
    return {"consumer": consumer, "done": redriven.done, "error": redriven.error, "more": redriven.more}


@router.post("/parked/{id}:discard", status_code=204)
async def discard(context: Running, id: Id, body: Discard) -> None:
    """Gives a record up for ever; the next of its scope may then run."""
    async with context.unit() as uow:
        if not await dead_letters.discard(uow.conn, id, body.why):
            raise problems.not_found(f"parked record {id}")
