"""Which fields each service reads of each type: `consumers/<service>.yaml`, the consumers' side of the contract."""

from __future__ import annotations

from pathlib import Path

from contracts.compat import Schema, plain

FOLDER = Path(__file__).resolve().parent.parent / "consumers"
Reads = dict[str, list[str]]


def reads(text: str) -> Reads:
    """Type -> dotted fields, from the two YAML shapes that these files use: `type:` and `  - field`.

    Raises `ValueError` naming the line that is neither.
    """
    found: Reads = {}
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.split("#")[0].rstrip()
        if not bare:
            continue
        if not bare.startswith(" ") and bare.endswith(":"):
            fields = found.setdefault(bare[:-1], [])
        elif bare.startswith("  - ") and found:
            fields.append(bare[4:])
        else:
            raise ValueError(f"line {number} is neither `type:` nor `  - field`: {line!r}")
    return found


def field(schema: Schema, dotted: str) -> tuple[Schema, bool] | None:
    """The field's schema and whether a reader may count on it being there; None where there is no such field.

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


def listed() -> dict[str, Reads]:
    """Service -> what it says it reads, from every committed list. Raises `ValueError` naming the file and line."""
    found: dict[str, Reads] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        try:
            found[path.stem] = reads(path.read_text(encoding="utf-8"))
        except ValueError as wrong:
            raise ValueError(f"{path.name}: {wrong}") from wrong
    return found
