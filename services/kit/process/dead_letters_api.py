"""Dead letters over HTTP, for the operator: list them, process them again, or discard them with a reason."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, Field

from contracts.scopes import Scope
from contracts.values import Principal
from services.kit.consumer import dead_letters
from services.kit.consumer.dead_letters import DeadLetter
from services.kit.consumer.redrive import redrive as redrive_scope
from services.kit.context import Context
from services.kit.http import problems
from services.kit.http.body import Body
from services.kit.http.dependencies import Cursor, Limit, Running, require
from services.kit.http.responses import next_cursor
from services.kit.process.service import Service
from services.kit.relay import relay
from services.kit.transaction.access_log import log_act
from services.kit.uploads import kept

router = APIRouter(prefix="/v1", tags=["parked"], dependencies=[Depends(require(Scope.OPS_ADMIN))])
Administrator = Annotated[Principal, Depends(require(Scope.OPS_ADMIN))]
Id = Annotated[int, Path(ge=1, lt=2**63)]


class RedriveIn(Body):
    """The dead letters to process again: all of a scope, for one consumer or for every one that has some."""

    scope: str = Field(min_length=1, max_length=400)
    consumer: str | None = Field(default=None, max_length=200)


class DiscardIn(Body):
    """The reason for which a dead letter is discarded; it is kept."""

    why: str = Field(min_length=1, max_length=1000)


class DeadLetterPage(BaseModel):
    """Dead letters, oldest first; `next` is the cursor of the next page, null on the last."""

    parked: list[DeadLetter]
    next: int | None


class RedriveResult(BaseModel):
    """The result for one consumer: how many were processed, the error that stopped it, and whether time ran out."""

    consumer: str
    done: int
    error: str | None = None
    more: bool = False


class RedriveResults(BaseModel):
    """The results for all consumers that had dead letters of the scope."""

    scope: str
    results: list[RedriveResult]


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


@router.get("/parked")
async def listing(context: Running, limit: Limit = 100, cursor: Cursor = 0) -> DeadLetterPage:
    """List the dead letters, oldest first; `next` is the cursor of the next page, null on the last."""
    async with context.unit() as uow:
        found = await dead_letters.listing(uow.conn, after=cursor, limit=limit)
    return DeadLetterPage(parked=found, next=next_cursor(found, limit, "id"))


@router.get("/parked/{id}")
async def one(context: Running, id: Id) -> DeadLetter:
    """Show one dead letter, also after it was discarded."""
    async with context.unit() as uow:
        found = await dead_letters.listing(uow.conn, id=id)
    if not found:
        raise problems.not_found(f"dead letter {id}")
    return found[0]


@router.post("/parked:redrive")
async def redrive(
    context: Running, caller: Administrator, service: Annotated[Service, Depends(_service)], body: RedriveIn
) -> RedriveResults:
    """Process the scope's dead letters in order until one fails again; harmless when there is none.

    A result with `more` ran out of time: repeat the request for the rest.
    """
    async with context.unit() as uow:
        blocked = await dead_letters.consumers_of(uow.conn, body.scope)
        if blocked:
            await log_act(uow, caller, "redrive", f"dead-letter/{body.scope}")
    chosen = [name for name in blocked if body.consumer in {None, name}]
    results = [await _redrive(service, context, name, body.scope) for name in chosen]
    return RedriveResults(scope=body.scope, results=results)


async def _redrive(service: Service, context: Context, consumer: str, scope: str) -> RedriveResult:
    if consumer == f"{service.name}.relay":
        async with context.unit() as uow:
            return RedriveResult(consumer=consumer, done=await relay.release(uow.conn, service.name, scope))
    if consumer == kept.consumer_of(service.name):
        count, error = await kept.redrive(context, service.on_upload, scope)
        return RedriveResult(consumer=consumer, done=count, error=error)
    processor = service.consumers(context).get(consumer)
    if processor is None:
        return RedriveResult(consumer=consumer, done=0, error="this version has no such consumer")
    redriven = await redrive_scope(processor, scope)
    return RedriveResult(consumer=consumer, done=redriven.done, error=redriven.error, more=redriven.more)


@router.post("/parked/{id}:discard", status_code=204)
async def discard(context: Running, caller: Administrator, id: Id, body: DiscardIn) -> None:
    """Discard a dead letter for ever; the next of its scope can be processed then."""
    async with context.unit() as uow:
        if not await dead_letters.discard(uow.conn, id, body.why, caller.subject):
            raise problems.not_found(f"dead letter {id}")
        await log_act(uow, caller, "discard", f"dead-letter/{id}")
