"""The OpenAPI documents: everything that a client may send has bounds, and the document states them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

import pytest
from fastapi import FastAPI
from starlette.responses import Response

from deploy.cli.contracts import openapi_documents
from services.access.app import SERVICE as ACCESS
from services.dispatch.app import SERVICE as DISPATCH
from services.inventory.app import SERVICE as INVENTORY
from services.kit.http.body import Body
from services.kit.http.bounded import Instant
from services.kit.process.openapi import document
from services.kit.process.service import Service
from services.orders.app import SERVICE as ORDERS

Schema = dict[str, Any]
SERVICES = (ORDERS, INVENTORY, DISPATCH, ACCESS)
FACTS = ("uploads/*/recorded_at", "uploads/*/body")
"""Recorded by a device, its clock included: always accepted, and judged upload by upload."""


def unbounded(document: Schema) -> Iterator[str]:
    """Return every place that takes a text without a length, a number without a range, or an instant of any year."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            at = f"{method.upper()} {path}"
            for parameter in operation.get("parameters", ()):
                yield from _faults(f"{at} {parameter['in']}/{parameter['name']}", parameter["schema"], document, ())
            for kind in operation.get("requestBody", {}).get("content", {}).values():
                yield from _faults(f"{at} #", kind["schema"], document, ())


def _faults(at: str, schema: Schema, document: Schema, seen: tuple[str, ...]) -> Iterator[str]:
    if name := schema.get("$ref"):
        if name not in seen:
            target = document["components"]["schemas"][name.rpartition("/")[2]]
            yield from _faults(at, target, document, (*seen, name))
        return
    for part in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(part, ()):
            yield from _faults(at, one, document, seen)
    for name, one in schema.get("properties", {}).items():
        yield from _faults(f"{at}/{name}", one, document, seen)
    if isinstance(schema.get("items"), dict):
        yield from _faults(f"{at}/*", schema["items"], document, seen)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _faults(f"{at}/*", schema["additionalProperties"], document, seen)
    if not at.endswith(FACTS) and (lack := _lack(schema)):
        yield f"{at}: {lack}"


def _lack(schema: Schema) -> str | None:
    kind, form = schema.get("type"), schema.get("format")
    if kind == "string" and form in {"date-time", "date"}:
        ends = {"formatMinimum", "formatMaximum", "formatExclusiveMaximum"} & schema.keys()
        return None if len(ends) == 2 else f"a {form} of any year"
    if kind == "string" and not {"maxLength", "enum", "const", "pattern", "format"} & schema.keys():
        return "a text of any length"
    low, high = {"minimum", "exclusiveMinimum"} & schema.keys(), {"maximum", "exclusiveMaximum"} & schema.keys()
    if kind in {"integer", "number"} and not (low and high) and "enum" not in schema:
        return f"{kind} without a range"
    if kind == "object" and "properties" not in schema and not isinstance(schema.get("additionalProperties"), dict):
        return "an object of any shape"
    known = {"type", "anyOf", "oneOf", "allOf", "enum", "const"}
    return None if known & schema.keys() else "any value"


def undescribed(document: Schema) -> Iterator[str]:
    """Yield every route with a good answer that has content, of which the document does not say what is in it."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for status, answer in operation["responses"].items():
                for kind in answer.get("content", {}).values() if status.startswith("2") else ():
                    schema = kind["schema"]
                    loose = schema.get("type") == "object" and not schema.get("properties")
                    loose = loose and not isinstance(schema.get("additionalProperties"), dict)
                    if not {"$ref", "type", "anyOf", "oneOf"} & schema.keys() or loose:
                        yield f"{method.upper()} {path}"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_whatever_a_client_gives_has_bounds(service: Service) -> None:
    assert list(unbounded(document(service))) == []


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_good_answer_has_a_model(service: Service) -> None:
    assert list(undescribed(document(service))) == []


def test_the_committed_documents_are_those_of_the_code() -> None:
    """After a change: `./halfday contracts write`, and look at the difference."""
    differing = [str(path) for path, now in openapi_documents().items() if now != path.read_text("utf-8")]
    assert differing == []


class Loose(Body):
    text: str
    count: int
    degrees: float
    moment: datetime
    many: list[str]
    some: dict[str, Any]
    any: Any


class Tight(Body):
    kind: Literal["a", "b"]
    moment: Instant
    inner: list[Loose] | None = None


def test_the_walk_finds_whatever_has_none() -> None:
    app = FastAPI()

    @app.post("/loose/{id}")
    async def loose(id: str, body: Tight, page: int = 0) -> None: ...

    found = list(unbounded(app.openapi()))
    assert [fault.partition(" ")[2] for fault in found] == [
        "/loose/{id} path/id: a text of any length",
        "/loose/{id} query/page: integer without a range",
        "/loose/{id} #/inner/*/text: a text of any length",
        "/loose/{id} #/inner/*/count: integer without a range",
        "/loose/{id} #/inner/*/degrees: number without a range",
        "/loose/{id} #/inner/*/moment: a date-time of any year",
        "/loose/{id} #/inner/*/many/*: a text of any length",
        "/loose/{id} #/inner/*/some: an object of any shape",
        "/loose/{id} #/inner/*/any: any value",
    ]


def test_the_walk_finds_answers_without_a_model() -> None:
    app = FastAPI()

    @app.get("/ready")
    async def ready() -> Response: ...  # type: ignore[empty-body]

    @app.get("/loose")
    async def loose() -> dict[str, Any]: ...  # type: ignore[empty-body]

    @app.get("/tight")
    async def tight() -> Tight: ...  # type: ignore[empty-body]

    @app.get("/both", response_model=Tight)
    async def both() -> Response: ...  # type: ignore[empty-body]

    @app.delete("/gone", status_code=204)
    async def gone() -> None: ...

    assert list(undescribed(app.openapi())) == ["GET /ready", "GET /loose"]
