"""Catalogue entries that a service has and cannot read."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import ValidationError

from contracts.events.catalog import CatalogEvent
from contracts.registry import MODELS
from contracts.topics import DISPATCH, INVENTORY, ORDERS
from deploy.audit.evidence.evidence import Evidence

_TYPES = {
    model.TYPE.split(".")[2].removesuffix("-put"): model for model in MODELS.values() if issubclass(model, CatalogEvent)
}
_SINGULAR = {"communities": "community"}
"""The kinds of orders' table are plurals, most with an s."""


def unreadable(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Yield the place of each unreadable entry and the reason, in order of service and entry."""
    for service in (ORDERS, INVENTORY):
        for row in evidence.rows(service, "catalog"):
            kind = _SINGULAR.get(row["kind"], row["kind"].removesuffix("s")) if service == ORDERS else row["kind"]
            yield from _entry(service, kind, row["id"], row["body"])
    for row in evidence.rows(DISPATCH, "catalog"):
        kind, _, id = row["key"].partition("/")
        yield from _entry(DISPATCH, kind, id, row["body"])


def _entry(service: str, kind: str, id: str, text: str) -> Iterator[tuple[str, str]]:
    if why := _why(kind, id, json.loads(text)):
        yield f"{service}.catalog {kind}/{id}", why


def _why(kind: str, id: str, body: object) -> str:
    if kind not in _TYPES or not isinstance(body, dict):
        return "no such kind is known" if kind not in _TYPES else "it is no object"
    try:
        entry = _TYPES[kind].model_validate({**body, "id": id})
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        return f"{'/'.join(map(str, first['loc']))}: {first['msg']}"
    unknown = [name for name in ("unit", "channel") if getattr(entry, name, "") == "unknown"]
    return f"{unknown[0]}: {body[unknown[0]]!r} is not known" if unknown else ""
