"""Routes of the catalogue: what is put here is published, and the other services keep what they need of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.responses import Response

from contracts.events.catalog import CatalogEvent
from contracts.values import Slug
from services.kit import problems
from services.kit.http import require
from services.kit.problems import Fault, Problem
from services.kit.service import Context
from services.kit.unit_of_work import UnitOfWork
from services.orders.api import answers
from services.orders.domain.catalog import KINDS, contradiction, references
from services.orders.repository import catalog as rows

Kind = Literal[
    "items", "prices", "villages", "households", "communities", "pairings",
    "market-days", "sites", "stations", "points", "terminals", "couriers",
]  # fmt: skip
Operator = Annotated[str, Depends(require("operator"))]
Reader = Annotated[str, Depends(require("operator", "buyer", "leader", "terminal", "courier"))]


def routes(context: Context) -> APIRouter:
    """Everything under `/v1/catalog`."""
    router = APIRouter(tags=["catalogue"])

    @router.put("/v1/catalog/{kind}/{id}")
    async def put(request: Request, kind: Kind, id: Slug, body: dict[str, Any], _role: Operator) -> Response:
        """Stores an entity whole: the fields of its event (`<kind>-put`) without the id. The same again is no event."""
        entity = _read(kind, id, body)
        async with context.unit() as uow:
            await _check(uow, entity)
            changed, version = await rows.put(uow.conn, kind, entity, uow.now)
            if changed:
                uow.emit(entity)
        return answers.tagged(request, {**entity.model_dump(mode="json"), "version": version}, version)

    @router.get("/v1/catalog/{kind}/{id}")
    async def get(request: Request, kind: Kind, id: Slug, _role: Reader) -> Response:
        """One entity."""
        found = await rows.get(context.pool, kind, id)
        if found is None:
            raise problems.not_found(f"{kind}/{id}")
        body, version = found
        return answers.tagged(request, {**body, "version": version}, version)

    @router.get("/v1/catalog/{kind}")
    async def page(
        kind: Kind, _role: Reader, limit: Annotated[int, Query(ge=1, le=500)] = 100, cursor: str = ""
    ) -> Response:
        """The entities of a kind, in order of id."""
        return answers.listed(await rows.page(context.pool, kind, cursor, limit), limit, "id")

    return router


def _read(kind: str, id: str, body: dict[str, Any]) -> CatalogEvent:
    if body.get("id", id) != id:
        raise problems.unprocessable("/id", "differs from the id in the URL")
    try:
        if b"\\u0000" in orjson.dumps(body):
            raise problems.unprocessable("", "text may not hold a NUL character")
        return KINDS[kind].model_validate({**body, "id": id}, extra="forbid")
    except TypeError:  # half of a surrogate pair
        raise problems.unprocessable("", "text must be Unicode") from None
    except ValidationError as wrong:
        found = wrong.errors(include_url=False)
        raise RequestValidationError([{**e, "loc": ("body", *e["loc"])} for e in found]) from None


async def _check(uow: UnitOfWork, entity: CatalogEvent) -> None:
    wrong = contradiction(entity)
    if wrong:
        raise problems.unprocessable(*wrong)
    named = list(references(entity))
    missing = await rows.missing(uow.conn, {(kind, id) for _, kind, id in named})
    faults = [
        Fault(f"#{pointer}", f"{kind}/{id} does not exist") for pointer, kind, id in named if (kind, id) in missing
    ]
    if faults:
        raise Problem(422, "unprocessable", "Unusable content", faults[0].message, errors=faults)
