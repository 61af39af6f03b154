"""Samples of a type, made from its schema: records that producers may write, at the limits of the schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Any

from contracts.compat import Schema, plain

_FORMATS = {
    "uuid": ("00000000-0000-0000-0000-000000000000", "01933c5a-7c00-7abc-8def-0123456789ab"),
    "date-time": ("1970-01-01T00:00:00Z", "2026-11-07T06:30:00.123456+08:00"),
    "date": ("1970-01-01", "2026-11-07"),
}
_TEXTS = (
    "", "a", "0" * 64, "a@b", "00:00", "2026-11-07", "2026-11-07@simaochong", "order:write", "A" * 43, "23:59",
    "红菜薹 \"'\\\n🥬",
)  # fmt: skip


class Edge(Enum):
    """Kind of sample: required fields only with the least values, all fields as usual, all with the greatest."""

    LEAST = auto()
    USUAL = auto()
    MOST = auto()


def samples(schema: Schema) -> Iterator[Any]:
    """Yield one JSON value per edge. Raises `ValueError` for a pattern that no text in `_TEXTS` matches: add one."""
    flat = plain(schema)
    for edge in Edge:
        yield _value(flat, edge)


def usual(schema: Schema) -> Any:
    """Return the sample with every field and everyday values, as in a generated example."""
    return _value(plain(schema), Edge.USUAL)


def _value(node: Schema, edge: Edge) -> Any:
    least = edge is Edge.LEAST
    if union := node.get("anyOf") or node.get("oneOf"):
        return _value(union[-1 if least else 0], edge)
    if choices := node.get("enum"):
        return choices[0 if least else -1]
    match node.get("type"):
        case "object":
            required = node.get("required", ())
            fields = node.get("properties", {}).items()
            return {name: _value(field, edge) for name, field in fields if name in required or not least}
        case "array":
            count = max(node.get("minItems", 0), {Edge.LEAST: 0, Edge.USUAL: 1, Edge.MOST: 2}[edge])
            return [_value(node["items"], edge) for _ in range(count)]
        case "string":
            return _text(node, edge)
        case "boolean":
            return not least
        case "null":
            return None
        case "integer" | "number":
            return _number(node, edge)
    raise ValueError(f"no sample for {node}")


def _number(node: Schema, edge: Edge) -> float:
    low: float = node.get("minimum", node.get("exclusiveMinimum", -(2**31) - 1) + 1)
    high: float = node.get("maximum", node.get("exclusiveMaximum", 2**53) - 1)
    return {Edge.LEAST: low, Edge.USUAL: min(max(2, low), high), Edge.MOST: high}[edge]


def _text(node: Schema, edge: Edge) -> str:
    if known := _FORMATS.get(node.get("format", "")):
        return known[0 if edge is Edge.LEAST else 1]
    low, high = node.get("minLength", 0), node.get("maxLength", 1000)
    fits = [text for text in _TEXTS if low <= len(text) <= high and re.search(node.get("pattern", ""), text)]
    if not fits:
        raise ValueError(f"no sample text for pattern {node.get('pattern')!r}")
    return {Edge.LEAST: fits[0], Edge.USUAL: fits[len(fits) // 2], Edge.MOST: fits[-1]}[edge]
