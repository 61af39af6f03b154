"""Looks up a field of a consumer's list in a schema, and whether a reader may rely on it."""

from __future__ import annotations

from contracts.compat import Schema, plain


def field(schema: Schema, dotted: str) -> tuple[Schema, bool] | None:
    """Return the field's schema and whether it is always present; None where there is no such field.

    A dot steps into an object, also into the items of a list and through "or null".
    """
    node, sure = plain(schema), True
    for name in dotted.split("."):
        node = _object(node)
        if name not in node.get("properties", {}):
            return None
        sure = sure and name in node.get("required", ())
        node = node["properties"][name]
    return node, sure


def _object(node: Schema) -> Schema:
    for variant in node.get("anyOf", ()):
        if variant.get("type") != "null":
            node = variant
    return _object(node["items"]) if node.get("type") == "array" else node
