"""Routes of the catalogue: what is put here is published, and the other services keep what they need of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field
from starlette.responses import Response

from contracts.events.catalog import CatalogEvent, MarketDayPut, SitePut, StationPut
from contracts.values import Slug
from services.kit.context import Context
from services.kit.http import problems
from services.kit.http.dependencies import require
from services.kit.http.problems import InputError, Problem
from services.kit.transaction.unit_of_work import UnitOfWork
from services.orders.api import answers
from services.orders.api.schemas import catalog as s
from services.orders.domain.catalog_rules import Wrong, contradictions, references, too_far
from services.orders.repository import catalog as rows

Kind = Literal[
    "items", "prices", "villages", "households", "communities", "pairings",
    "market-days", "sites", "stations", "points", "terminals", "couriers",
]  # fmt: skip
Operator = Annotated[str, Depends(require("operator"))]
Reader = Annotated[str, Depends(require("operator", "buyer", "leader", "terminal", "courier"))]
Cursor = Annotated[str, Query(max_length=64, description="the `next` of the page before")]
_ORDER = """

Stores the entry whole and publishes it; the same again changes nothing and publishes nothing. What it names must be
there before it: stations, sites, villages, households, communities, points, pairings, items, prices (one for each
channel on which an item is sold), market days; terminals and couriers at any time after their site and station.
"""


def routes(context: Context) -> APIRouter:
    """Everything under `/v1/catalog`: a `PUT` for each kind of entry, and what reads all of them alike."""
    router = APIRouter(tags=["catalogue"])
    for kind, body in s.BODIES.items():
        router.put(
            f"/v1/catalog/{kind}/{{id}}",
            operation_id=f"put_{kind.replace('-', '_')}",
            summary=f"Put one of the {kind.replace('-', ' ')}",
            description=f"{body.__doc__}{_ORDER}",
            responses={200: {"model": s.shown(kind), "description": "The entry as it is stored"}},
        )(_put(context, kind, body))
    _unknown_kind(router)
    _reading(router, context)
    return router


def _put(context: Context, kind: str, model: type[s.EntryIn]) -> Callable[..., Awaitable[Response]]:
    async def put(request: Request, id: Slug, body: s.EntryIn, _role: Operator) -> Response:
        if body.id not in (None, id):
            raise problems.unprocessable("/id", f"must be {id}, the id in the URL, or be left out")
        entity = body.entity(kind, id)
        async with context.unit() as uow:
            await _check(uow, entity)
            changed, version = await rows.put(uow.conn, kind, entity, uow.now)
            if changed:
                uow.emit(entity)
        return answers.tagged(request, {**entity.model_dump(mode="json"), "version": version}, version)

    put.__annotations__["body"] = model  # the framework reads here which fields this kind has
    return put


def _unknown_kind(router: APIRouter) -> None:
    @router.put("/v1/catalog/{kind}/{id}", include_in_schema=False)
    async def put_unknown(kind: Kind, id: Slug, _role: Operator) -> Response:
        """Refuses a kind that the routes before this one don't have; the type says which there are."""
        raise problems.not_found(f"{kind}/{id}")


def _reading(router: APIRouter, context: Context) -> None:
    one: Any = Annotated[s.any_shown(), Field(description="Its kind's fields, its id and its version")]

    @router.get("/v1/catalog/{kind}/{id}", responses={200: {"model": one}})
    async def get(request: Request, kind: Kind, id: Slug, _role: Reader) -> Response:
        """One entry as it is stored."""
        found = await rows.get(context.pool, kind, id)
        if found is None:
            raise problems.not_found(f"{kind}/{id}")
        body, version = found
        return answers.tagged(request, {**body, "version": version}, version)

    @router.get("/v1/catalog/{kind}")
    async def page(
        kind: Kind, _role: Reader, limit: Annotated[int, Query(ge=1, le=500)] = 100, cursor: Cursor = ""
    ) -> Response:
        """The entries of a kind, in order of id."""
        return answers.listed(await rows.page(context.pool, kind, cursor, limit), limit, "id")


async def _check(uow: UnitOfWork, entity: CatalogEvent) -> None:
    _refuse(contradictions(entity))
    named = list(references(entity))
    missing = await rows.missing(uow.conn, {(kind, id) for _, kind, id in named})
    _refuse((at, f"{kind}/{id} does not exist: put it first") for at, kind, id in named if (kind, id) in missing)
    if isinstance(entity, MarketDayPut):
        taken = await rows.waves_of_others(uow.conn, entity.id, [wave.id for wave in entity.waves])
        _refuse(
            (f"/waves/{n}/id", f"wave {wave.id} belongs to market day {taken[wave.id]}: give this one another id")
            for n, wave in enumerate(entity.waves)
            if wave.id in taken
        )
    _refuse([("/lat", why) for why in await _distances(uow, entity) if why])


async def _distances(uow: UnitOfWork, entity: CatalogEvent) -> list[str | None]:
    match entity:
        case SitePut():
            station = await rows.read(uow.conn, "stations", entity.station)
            return [too_far(entity, station)] if isinstance(station, StationPut) else []
        case StationPut():
            return [too_far(site, entity) for site in await rows.sites_of(uow.conn, entity.id)]
        case _:
            return []


def _refuse(wrong: Iterator[Wrong] | list[Wrong]) -> None:
    """Raises a 422 with everything that is wrong, if anything is."""
    faults = [InputError(f"#{pointer}", message) for pointer, message in wrong]
    if faults:
        detail = f"{faults[0].pointer}: {faults[0].message}"
        raise Problem(422, "unprocessable", "Unusable content", detail, errors=faults)
