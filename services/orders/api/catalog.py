"""The routes of the catalogue: an entry that is put is published, and the other services keep their part of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from contracts.values import Slug
from services.kit.http import problems, responses
from services.kit.http.dependencies import Limit
from services.orders.api.callers import CatalogReader, CatalogWriter, Orders
from services.orders.api.schemas import catalog as s
from services.orders.commands.catalog import put_entry
from services.orders.domain.catalogue_views import visible
from services.orders.repository import queries

Kind = Literal[
    "items", "prices", "villages", "households", "communities", "pairings",
    "market-days", "sites", "stations", "points", "terminals", "couriers",
]  # fmt: skip
Cursor = Annotated[str, Query(max_length=64, description="the `next` of the page before")]
_ORDER = """

Stores the entry whole and publishes it; the same entry again changes nothing and publishes nothing. Its references must
exist before it: stations, sites, villages, households, communities, points, pairings, items, prices (one for each
channel on which an item is sold), market days; terminals and couriers at any time after their site and station.
"""

router = APIRouter(prefix="/v1/catalog", tags=["catalogue"])


def _put(kind: str, model: type[s.EntryIn]) -> Callable[..., Awaitable[Response]]:
    async def put(request: Request, id: Slug, body: s.EntryIn, app: Orders, _caller: CatalogWriter) -> Response:
        entity = body.entity(kind, id)
        version = await put_entry(app.context, kind, entity)
        return responses.etag(request, {**entity.model_dump(mode="json"), "version": version}, version)

    put.__annotations__["body"] = model  # FastAPI reads here which fields this kind has
    return put


for _kind, _body in s.BODIES.items():
    router.put(
        f"/{_kind}/{{id}}",
        operation_id=f"put_{_kind.replace('-', '_')}",
        summary=f"Put one of the {_kind.replace('-', ' ')}",
        description=f"{_body.__doc__}{_ORDER}",
        response_model=s.view_of(_kind),
        response_description="The entry as it is stored",
    )(_put(_kind, _body))


@router.put("/{kind}/{id}", include_in_schema=False)
async def put_unknown(kind: Kind, id: Slug, _caller: CatalogWriter) -> Response:
    """Refuse a kind without a route of its own; the type names the known ones."""
    raise problems.not_found(f"{kind}/{id}")


@router.get("/{kind}/{id}", response_model=s.any_view())
async def one(request: Request, kind: Kind, id: Slug, app: Orders, caller: CatalogReader) -> Response:
    """Return one entry as it is stored: the fields of its kind, its id and its version."""
    found, shown = await queries.catalog_entry(app.context.pool, kind, id), visible(caller, kind)
    if found is None or shown is None or not shown.has(found[0]):
        raise problems.not_found(f"{kind}/{id}")
    body, version = found
    return responses.etag(request, {**body, "version": version}, version)


@router.get("/{kind}", response_model=s.page_view())
async def listing(kind: Kind, app: Orders, caller: CatalogReader, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """List the entries of a kind in order of id. A buyer sees the prices of its channels and the pickup points of its
    communities, a device its own place.
    """
    shown = visible(caller, kind)
    found = await queries.catalog_entries(app.context.pool, kind, shown, cursor, limit) if shown else []
    return responses.page(found, limit, "id")
