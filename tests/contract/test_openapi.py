"""The OpenAPI documents: everything that a client may send has bounds, and the document states them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from fastapi import FastAPI

from services.dispatch.app import SERVICE as DISPATCH
from services.inventory.app import SERVICE as INVENTORY
from services.kit.clock import ManualClock
from services.kit.context import Context
from services.kit.http.body import Body
from services.kit.http.bounded import Instant
from services.kit.process.api import create_api
from services.kit.process.service import Service
from services.kit.settings import Settings
from services.orders.app import SERVICE as ORDERS

Schema = dict[str, Any]
FACTS = ("uploads/*/recorded_at", "uploads/*/body")
"""Recorded by a device, its clock included: always accepted, and judged upload by upload."""


def document_of(service: Service) -> Schema:
    """The OpenAPI document of a service that has no database."""
    settings, clock = Settings(database_url="postgresql://nowhere"), ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    context = Context(settings, clock, None, lambda: None, service.name)  # type: ignore[arg-type]
    return create_api(service, context).openapi()


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


@pytest.mark.parametrize("service", [ORDERS, INVENTORY, DISPATCH], ids=lambda service: service.name)
def test_whatever_a_client_gives_has_bounds(service: Service) -> None:
    assert list(unbounded(document_of(service))) == []


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
