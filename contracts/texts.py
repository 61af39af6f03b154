"""Possible authors of the strings in an event: none (ids, codes, times), the product, an operator, or anybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from enum import Enum, StrEnum
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin
from uuid import UUID

from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from contracts.values import Author


class Text(StrEnum):
    """Possible content of a string. `ANY` is unbounded: it could hold a client's own words."""

    EXACT = "exact"
    """A UUID or a time: parsed as such, so it can hold nothing else."""
    ID = "id"
    """Letters, digits and marks, without a space."""
    CODE = "code"
    """A value of an open enumeration."""
    PRODUCT = "product"
    OPERATOR = "operator"
    ANY = "any"


def strings_of(model: type[BaseModel]) -> dict[str, Text]:
    """Return every field of a model that holds strings, nested ones by their path, with its possible content."""
    found: dict[str, Text] = {}
    for name, field in model.model_fields.items():
        for path, text in _strings(field.annotation, field.metadata):
            found[f"{name}{path}"] = text
    return found


def _strings(hint: Any, metadata: Sequence[Any]) -> Iterator[tuple[str, Text]]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        yield from _strings(arguments[0], [*metadata, *arguments[1:]])
    elif origin in {list, tuple}:
        yield from (pair for inner in arguments if inner is not ... for pair in _strings(inner, ()))
    elif origin is dict:
        yield from (("." + path.lstrip("."), text) for path, text in _strings(arguments[1], ()))
    elif origin is Literal:
        yield "", Text.CODE
    elif arguments:  # a union
        yield from (pair for inner in arguments if inner is not NoneType for pair in _strings(inner, metadata))
    elif isinstance(hint, type):
        yield from _of_class(hint, metadata)


def _of_class(hint: type, metadata: Sequence[Any]) -> Iterator[tuple[str, Text]]:
    if issubclass(hint, BaseModel):
        yield from ((f".{path}", text) for path, text in strings_of(hint).items())
    elif issubclass(hint, UUID | date | AwareDatetime):
        yield "", Text.EXACT
    elif issubclass(hint, Enum):
        yield "", Text.CODE
    elif issubclass(hint, str):
        yield "", _of_str(metadata)


def _of_str(metadata: Sequence[Any]) -> Text:
    marks = [mark for one in metadata for mark in (one.metadata if isinstance(one, FieldInfo) else [one])]
    for mark in marks:
        if isinstance(mark, Author):
            return Text(mark)
    return Text.ID if any(getattr(mark, "pattern", None) for mark in marks) else Text.ANY


def texts(value: Any, known: Mapping[str, Text], path: str = "") -> Iterator[tuple[Text, str]]:
    """Yield every string value in an event's JSON with its possible content; `ANY` in fields that are not `known`."""
    if isinstance(value, str):
        yield known.get(path, Text.ANY), value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from texts(inner, known, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner, known, path)
