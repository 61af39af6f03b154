"""API9:2023, improper inventory management: what is served is what the committed documents say, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Route

from contracts.topics import DEPLOYED
from services.kit.http.operations import documents
from services.kit.process.service import Service
from tests.contract.test_scopes import SERVICES, client
from tests.tokens import Issuer

UNDOCUMENTED = {"/live"}
"""Beside the documents: whether the process answers."""
HIDDEN = {"PUT /v1/catalog/{kind}/{id}"}
"""Says that there is no such kind of entry, under the scope of the others."""


def committed(root: Path, service: Service) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "services" / service.name / "openapi.json").read_text("utf-8"))
    return found


def app_of(service: Service) -> FastAPI:
    transport: Any = client(service, Issuer())._transport
    app: FastAPI = transport.app
    return app


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_route_is_in_the_committed_document(root: Path, service: Service) -> None:
    routes = {
        f"{method} {route.path}"
        for router in service.routes
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    document = {
        f"{method.upper()} {path}" for path, item in committed(root, service)["paths"].items() for method in item
    }
    assert routes - document <= HIDDEN
    plain = {
        route.path for route in app_of(service).routes if isinstance(route, Route) and not isinstance(route, APIRoute)
    }
    assert plain == UNDOCUMENTED


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_the_served_document_is_the_committed_one(root: Path, service: Service) -> None:
    (openapi,) = (one for one in documents(app_of(service)) if isinstance(one, Route) and one.path == "/openapi.json")
    served = json.loads((await openapi.endpoint(None)).body)
    assert served == committed(root, service)


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_an_older_or_newer_version_of_a_route_does_not_exist(service: Service) -> None:
    async with client(service, Issuer()) as http:
        for path in ("/v0/orders", "/v2/orders", "/orders", "/internal", "/debug", "/admin", "/docs", "/openapi.json"):
            assert (await http.get(path)).status_code == 404, path


def test_each_deployed_service_has_a_document(root: Path) -> None:
    assert {service.name for service in SERVICES} == set(DEPLOYED)
    assert {path.parent.name for path in root.glob("services/*/openapi.json")} == set(DEPLOYED)
