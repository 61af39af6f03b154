"""Compatibility of contract versions: compares two JSON Schemas in both directions.

Records stay in the topics longer than a build lives, and readers are not replaced all at once. So inside a major, old
records must fit the new schema and new records the old one, over all versions (FULL_TRANSITIVE). Only optional fields
may be added; every other difference is a break.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

OLD_RECORDS = "records that are already in the topic would no longer be readable"
OLD_READERS = "readers with the old schema would refuse new records"
MEANING = "records that are already in the topic would change their meaning"

_NOTES = {"title", "description", "examples", "deprecated", "$id", "$schema", "$defs", "$comment"}
_LOW = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
_HIGH = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
_NESTED = {"items", "additionalProperties"}
_VALUES = {"default", "enum", "const", "required"}
_NONE = object()


@dataclass(frozen=True, slots=True)
class Break:
    """One forbidden difference: its place (a JSON pointer, references followed), the change, and the records or readers
    that it breaks.
    """

    pointer: str
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.pointer or '/'}: {self.what}; {self.why}"


def breaks(old: Schema, new: Schema) -> list[Break]:
    """Return every difference between two versions of a type other than an optional addition, in field order.

    Titles, descriptions and examples are ignored. A keyword that this module does not know is a break as soon as it
    differs.
    """
    return list(_node(plain(old), plain(new), ""))


def plain(schema: Schema) -> Schema:
    """Return the schema without notes and with every `$ref` resolved; a cycle keeps its inner `$ref`."""
    defs = schema.get("$defs", {})

    def follow(node: Any, seen: tuple[str, ...]) -> Any:
        if isinstance(node, list):
            return [follow(part, seen) for part in node]
        if not isinstance(node, dict):
            return node
        ref = node.get("$ref", "").removeprefix("#/$defs/")
        if ref in defs and ref not in seen:
            beside = {key: value for key, value in node.items() if key != "$ref"}
            return follow(defs[ref] | beside, (*seen, ref))
        found = {key: value for key, value in node.items() if key not in _NOTES}
        for key, value in found.items():
            if key == "properties":  # its keys are names of fields, and a field may be called `title`
                found[key] = {name: follow(field, seen) for name, field in value.items()}
            elif key not in _VALUES:
                found[key] = follow(value, seen)
        if "const" in found:
            found["enum"] = [found.pop("const")]
        return found

    result: Schema = follow(schema, ())
    return result


def _node(old: Schema, new: Schema, at: str) -> Iterator[Break]:
    olds, news = _variants(old), _variants(new)
    if len(olds) == len(news) == 1:
        yield from _single(olds[0], news[0], at)
        return
    olds, news = [v for v in olds if v not in news], [v for v in news if v not in olds]
    for variant in olds:
        match = next((other for other in news if other.get("type") == variant.get("type")), None)
        if match is None:
            yield Break(at, f"may no longer be {_name(variant)}", OLD_RECORDS)
        else:
            news.remove(match)
            yield from _single(variant, match, at)
    for variant in news:
        yield Break(at, f"may now be {_name(variant)}", OLD_READERS)


def _variants(node: Schema) -> list[Schema]:
    beside = {key: value for key, value in node.items() if key not in {"anyOf", "oneOf", "default"}}
    union = node.get("anyOf") or node.get("oneOf") or [{}]
    return [variant | beside for variant in union]


def _name(variant: Schema) -> str:
    return str(variant.get("format") or variant.get("type") or "anything")


def _single(old: Schema, new: Schema, at: str) -> Iterator[Break]:
    if old.get("type") != new.get("type"):
        yield Break(f"{at}/type", f"retyped from {_name(old)} to {_name(new)}", OLD_RECORDS)
        return
    yield from _properties(old, new, at)
    yield from _enum(old, new, at)
    for key in sorted((old.keys() | new.keys()) - {"properties"} - _VALUES):
        before, after = old.get(key, _NONE), new.get(key, _NONE)
        if before == after:
            continue
        if key in _NESTED and isinstance(before, dict) and isinstance(after, dict):
            yield from _node(before, after, f"{at}/{key}")
        elif key in _LOW | _HIGH:
            yield _bound(key, before, after, at)
        else:
            hurt = OLD_READERS if after is _NONE else OLD_RECORDS
            yield Break(f"{at}/{key}", f"changed from {_shown(before)} to {_shown(after)}", hurt)


def _shown(value: Any) -> str:
    return "none" if value is _NONE else repr(value)


def _bound(key: str, before: Any, after: Any, at: str) -> Break:
    tighter = before is _NONE or (after is not _NONE and (after > before if key in _LOW else after < before))
    verb, why = ("tightened", OLD_RECORDS) if tighter else ("loosened", OLD_READERS)
    return Break(f"{at}/{key}", f"{verb} from {_shown(before)} to {_shown(after)}", why)


def _enum(old: Schema, new: Schema, at: str) -> Iterator[Break]:
    before, after = old.get("enum"), new.get("enum")
    if before is None or after is None:
        if before is not after:
            what, why = ("closed", OLD_RECORDS) if before is None else ("opened", OLD_READERS)
            yield Break(f"{at}/enum", f"{what}: {before or after}", why)
        return
    for value in before:
        if value not in after:
            yield Break(f"{at}/enum", f"{value!r} removed", OLD_RECORDS)
    for value in after:
        if value not in before:
            yield Break(f"{at}/enum", f"{value!r} added to a closed enumeration", OLD_READERS)


def _properties(old: Schema, new: Schema, at: str) -> Iterator[Break]:
    olds, news = old.get("properties", {}), new.get("properties", {})
    had, has = set(old.get("required", ())), set(new.get("required", ()))
    for name, before in olds.items():
        here = f"{at}/properties/{_escaped(name)}"
        if name not in news:
            yield _removed(before, {n: s for n, s in news.items() if n not in olds}, here)
            continue
        after = news[name]
        yield from _node(before, after, here)
        if name in has - had:
            yield Break(here, "optional before, required now", OLD_RECORDS)
        elif name in had - has:
            yield Break(here, "required before, optional now", OLD_READERS)
        elif name not in has and before.get("default", _NONE) != after.get("default", _NONE):
            change = f"from {_shown(before.get('default', _NONE))} to {_shown(after.get('default', _NONE))}"
            yield Break(f"{here}/default", f"changed {change}", MEANING)
    for name in news:
        if name not in olds and name in has:
            yield Break(f"{at}/properties/{_escaped(name)}", "added as required; only optional fields may", OLD_RECORDS)


def _removed(before: Schema, added: dict[str, Schema], here: str) -> Break:
    twin = next((name for name, schema in added.items() if not any(_node(before, schema, ""))), None)
    return Break(here, f"renamed to {twin!r}" if twin else "removed", OLD_READERS)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
