"""The routes of the services without FastAPI: a request's function is called with what its parameters say."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any, get_args
from uuid import UUID

import orjson
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter
from starlette.responses import Response
from starlette.routing import compile_path

from contracts.scopes import Scope
from contracts.values import Principal
from deploy.scenarios.actors.client import Answer, Request
from services.dispatch.app import SERVICE as DISPATCH
from services.dispatch.commands.job import reassign
from services.dispatch.commands.wave import cut_by_operator, release_by_operator
from services.inventory.app import SERVICE as INVENTORY
from services.kit.http import responses
from services.kit.process.service import Service
from services.orders.api.schemas.order_views import order_view
from services.orders.app import SERVICE as ORDERS
from services.orders.domain.catalog import KINDS
from tests.simulation.processes import Process, Work

CALLER = Principal("local.operator", "local", frozenset(Scope))
"""Every caller, because what limits the others is not simulated."""
API_PROCESSES = 2
"""Processes of each API."""
Call = Callable[[Process, Request, Mapping[str, str]], Awaitable[Any]]
"""Runs a request in a process, with the parameters of its path."""


async def _put_entry(process: Process, request: Request, path: Mapping[str, str]) -> None:
    """Put an entry without looking at its references: entries arrive in any order."""
    kind = path["kind"]
    entity = KINDS[kind].model_validate({**request.body, "id": path["id"]})
    async with process.context.unit() as uow:
        changed, _ = await uow.store.upsert_entry(kind, entity, uow.now)
        if changed:
            uow.emit(entity)


async def _read_order(process: Process, _: Request, path: Mapping[str, str]) -> Any:
    id = UUID(path["order"])
    return order_view((await process.context.store.find_orders([id]))[id][0], trusted=True)


async def _read_route(process: Process, _: Request, path: Mapping[str, str]) -> Any:
    jobs = [found.job for found in await process.context.store.read_route(path["courier"])]
    return {"stops": [{"job": job.id, "order": job.order, "state": job.state, "epoch": job.epoch} for job in jobs]}


WITHOUT_PAGES: Mapping[tuple[str, str], Call] = {
    ("PUT", "/v1/catalog/{kind}/{id}"): _put_entry,
    ("GET", "/v1/orders/{order}"): _read_order,
    ("GET", "/v1/couriers/{courier}/route"): _read_route,
    ("POST", "/v1/waves/{wave}:cut"): lambda p, _, path: cut_by_operator(p.context, path["wave"], CALLER),
    ("POST", "/v1/waves/{wave}:release"): lambda p, _, path: release_by_operator(p.context, path["wave"], CALLER),
    ("POST", "/v1/jobs/{job}:reassign"): lambda p, request, path: reassign(
        p.context, UUID(path["job"]), request.body["courier"], request.body["expected_epoch"], CALLER
    ),
}
"""Routes that also read what only pages show, which is not simulated: here their use cases run alone."""


def _routes(service: Service) -> dict[tuple[str, str], list[tuple[re.Pattern[str], Call, int]]]:
    """Return the routes by method and first part of the path, in the order in which they are tried."""
    found = defaultdict(list)
    for (method, path), call in WITHOUT_PAGES.items():
        found[method, _part(path)].append((compile_path(path)[0], call, 200))
    for route in (route for router in service.routes for route in router.routes):
        assert isinstance(route, APIRoute)
        for method in route.methods:
            call = _call(route.endpoint)
            found[method, _part(route.path)].append((route.path_regex, call, route.status_code or 200))
    return found


def _part(path: str) -> str:
    return path.split("/", 3)[2].partition(":")[0]


def _call(endpoint: Callable[..., Awaitable[Any]]) -> Call:
    """Return a call of the route's function, with its parameters taken from process and request as FastAPI does."""
    parameters = inspect.signature(endpoint, eval_str=True).parameters
    sources = {name: _source(name, parameter) for name, parameter in parameters.items()}
    return lambda process, request, path: endpoint(
        **{name: source(process, request, path) for name, source in sources.items()}
    )


def _source(name: str, parameter: inspect.Parameter) -> Callable[[Process, Request, Mapping[str, str]], Any]:
    match name:
        case "app":
            return lambda process, *_: process.memo["use cases"]
        case "context":
            return lambda process, *_: process.context
        case "request":
            return lambda _, request, __: SimpleNamespace(method=request.method, headers={})
        case "key":
            return lambda _, request, __: request.key
        case "caller" | "_caller":
            return lambda *_: CALLER
    types, adapter = (parameter.annotation, *get_args(parameter.annotation)), TypeAdapter(parameter.annotation)
    if any(isinstance(one, type) and issubclass(one, BaseModel) for one in types):
        return lambda _, request, __: adapter.validate_python(request.body)
    return lambda _, __, path: adapter.validate_python(path[name]) if name in path else parameter.default


ROUTES = {service.name: _routes(service) for service in (ORDERS, INVENTORY, DISPATCH)}


def bind(request: Request, api: int) -> Work:
    """Return the work of a request in the `api`-th process of its service's API; it returns the `Answer`."""
    known = ROUTES[request.service][request.method, _part(request.path)]
    match, call, status = next((match, *rest) for pattern, *rest in known if (match := pattern.match(request.path)))

    async def work(process: Process) -> Answer:
        if (name := f"use cases {api}") not in process.memo:
            process.memo[name] = process.service.use_cases(process.context)
        process.memo["use cases"] = process.memo[name]
        result = await call(process, request, match.groupdict())
        if isinstance(result, Response):
            return Answer(result.status_code, orjson.loads(result.body) if result.body else None)
        return Answer(status, orjson.loads(responses.encode(result)))

    return work
