"""Every kind of break, planted at every place of every committed schema, is named with its place."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from contracts.compat import MEANING, OLD_READERS, OLD_RECORDS, Schema, breaks, plain
from contracts.tools.history import present
from contracts.tools.schemas import SCHEMAS

COMMITTED = {version.name: plain(json.loads(version.text)) for version in present(SCHEMAS)}
Seed = Callable[[Schema], bool]


def nodes(node: Schema, at: str = "") -> Iterator[tuple[str, Schema]]:
    yield at, node
    for name, field in node.get("properties", {}).items():
        yield from nodes(field, f"{at}/properties/{name}")
    if "items" in node:
        yield from nodes(node["items"], f"{at}/items")
    for variant in node.get("anyOf", ()):
        yield from nodes(variant, at)


def first(node: Schema) -> str | None:
    return next(iter(node.get("properties", {})), None)


def removed(node: Schema) -> bool:
    name = first(node)
    return name is not None and bool(node["properties"].pop(name))


def renamed(node: Schema) -> bool:
    name = first(node)
    if name is None:
        return False
    node["properties"]["another_name"] = node["properties"].pop(name)
    node["required"] = ["another_name" if other == name else other for other in node.get("required", [])]
    return True


def added_required(node: Schema) -> bool:
    if "properties" not in node:
        return False
    node["properties"]["new"] = {"type": "string"}
    node["required"] = [*node.get("required", []), "new"]
    return True


def now_required(node: Schema) -> bool:
    optional = [name for name in node.get("properties", {}) if name not in node.get("required", [])]
    node["required"] = [*node.get("required", []), *optional[:1]]
    return bool(optional)


def now_optional(node: Schema) -> bool:
    return bool(node.get("required")) and bool(node["required"].pop())


def retyped(node: Schema) -> bool:
    if "type" not in node:
        return False
    node["type"] = "boolean" if node["type"] != "boolean" else "integer"
    return True


def tightened(node: Schema) -> bool:
    key = {"integer": "minimum", "number": "minimum", "string": "minLength", "array": "minItems"}.get(
        node.get("type", "")
    )
    if key:
        node[key] = node.get(key, 0) + 1
    return bool(key)


def loosened(node: Schema) -> bool:
    key = next((key for key in ("minimum", "maximum", "minLength", "maxLength") if key in node), None)
    return key is not None and node.pop(key) is not None


def repatterned(node: Schema) -> bool:
    if node.get("type") != "string":
        return False
    node["pattern"] = "^x" + node.get("pattern", "")
    return True


def reformatted(node: Schema) -> bool:
    return node.pop("format", None) is not None


def closed(node: Schema) -> bool:
    if node.get("type") != "string":
        return False
    node["enum"] = [*node.get("enum", []), "only this"]
    return True


def shortened(node: Schema) -> bool:
    return bool(node.get("enum")) and bool(node["enum"].pop())


def defaulted(node: Schema) -> bool:
    for field in node.get("properties", {}).values():
        if "default" in field:
            field["default"] = "another"
            return True
    return False


def unnulled(node: Schema) -> bool:
    variants = node.get("anyOf", [])
    return {"type": "null"} in variants and variants.remove({"type": "null"}) is None


def nulled(node: Schema) -> bool:
    if "anyOf" in node or "type" not in node:
        return False
    variant = {key: node.pop(key) for key in list(node) if key != "default"}
    node["anyOf"] = [variant, {"type": "null"}]
    return True


def forbidding(node: Schema) -> bool:
    if node.get("type") != "object":
        return False
    node["additionalProperties"] = False
    return True


SEEDS: list[Seed] = [
    removed,
    renamed,
    added_required,
    now_required,
    now_optional,
    retyped,
    tightened,
    loosened,
    repatterned,
    reformatted,
    closed,
    shortened,
    defaulted,
    unnulled,
    nulled,
    forbidding,
]


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.__name__)
def test_a_planted_break_is_found_where_it_is(seed: Seed) -> None:
    planted = 0
    for name, old in COMMITTED.items():
        for index, (at, _) in enumerate(list(nodes(old))):
            new = copy.deepcopy(old)
            if not seed(list(nodes(new))[index][1]):
                continue
            planted += 1
            found = breaks(old, new)
            assert found, f"{name}{at}: not seen"
            assert all(each.pointer.startswith(at) for each in found), (name, at, found)
            assert seed is removed or breaks(new, old), f"{name}{at}: not seen on the way back"
    assert planted


def test_a_schema_is_compatible_with_itself_and_with_other_words() -> None:
    for old in COMMITTED.values():
        new = copy.deepcopy(old)
        for _, node in nodes(new):
            node |= {"title": "Other", "description": "other words", "examples": ["x"]}
        assert breaks(old, new) == []


@given(st.data())
def test_optional_fields_may_be_added_anywhere(data: st.DataObject) -> None:
    old = COMMITTED[data.draw(st.sampled_from(sorted(COMMITTED)))]
    new = copy.deepcopy(old)
    objects = [node for _, node in nodes(new) if node.get("type") == "object"]
    for number, node in enumerate(data.draw(st.lists(st.sampled_from(objects), min_size=1, max_size=3))):
        name = f"{data.draw(st.text(max_size=9))} {number}"
        node["properties"][name] = {"type": data.draw(st.sampled_from(["string", "integer"])), "default": None}
    assert breaks(old, new) == []


class Line(BaseModel):
    """A line in its first version."""

    item: Annotated[str, Field(max_length=64)]
    quantity: int = Field(ge=0)


def schema(base: type[BaseModel] = Line, **fields: Any) -> Schema:
    return create_model(
        "Order", lines=(list[base], ...), mode=(Literal["all", "partial"], "all"), **fields
    ).model_json_schema()  # type: ignore[valid-type]


@pytest.mark.parametrize(
    ("fields", "pointer", "what", "why"),
    [
        ({"quantity": (int, Field(ge=1))}, "/quantity/minimum", "tightened from 0 to 1", OLD_RECORDS),
        ({"quantity": (int, ...)}, "/quantity/minimum", "loosened from 0 to none", OLD_READERS),
        ({"quantity": (float, Field(ge=0))}, "/quantity/type", "retyped from integer to number", OLD_RECORDS),
        ({"quantity": (int, Field(0, ge=0))}, "/quantity", "required before, optional now", OLD_READERS),
        ({"quantity": (int | None, Field(ge=0))}, "/quantity", "may now be null", OLD_READERS),
        ({"lot": (str, ...)}, "/lot", "added as required; only optional fields may", OLD_RECORDS),
    ],
)
def test_the_words_for_a_break_inside_a_reference(fields: dict[str, Any], pointer: str, what: str, why: str) -> None:
    changed = create_model("Line", __base__=Line, **fields)
    (found,) = breaks(schema(), schema(changed))
    assert found.pointer == "/properties/lines/items/properties" + pointer
    assert (found.what, found.why) == (what, why)
    assert str(found) == f"{found.pointer}: {what}; {why}"


def test_a_rename_is_told_from_a_removal() -> None:
    old, new = schema(note=(str, "")), schema(remark=(str, ""))
    assert [found.what for found in breaks(old, new)] == ["renamed to 'remark'"]
    assert [found.what for found in breaks(old, schema())] == ["removed"]


def test_a_changed_default_changes_the_meaning_of_old_records() -> None:
    (found,) = breaks(schema(tries=(int, 1)), schema(tries=(int, 2)))
    assert (found.pointer, found.why) == ("/properties/tries/default", MEANING)


def test_a_closed_enumeration_may_not_grow() -> None:
    new = schema()
    new["properties"]["mode"]["enum"].append("none")
    (found,) = breaks(schema(), new)
    assert (found.pointer, found.why) == ("/properties/mode/enum", OLD_READERS)


def test_a_field_may_be_called_like_a_keyword() -> None:
    old, new = schema(title=(str, ...), items=(int, 0)), schema(title=(int, ...), items=(int, 0))
    assert [found.pointer for found in breaks(old, new)] == ["/properties/title/type"]


class Tree(BaseModel):
    """Refers to itself."""

    name: str
    below: list["Tree"] = []


def test_a_circle_ends_and_is_compared() -> None:
    other = json.loads(json.dumps(Tree.model_json_schema()).replace('"string"', '"integer"'))
    assert breaks(Tree.model_json_schema(), Tree.model_json_schema()) == []
    assert "/properties/name/type" in {found.pointer for found in breaks(Tree.model_json_schema(), other)}
