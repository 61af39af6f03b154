"""Registry of event types: type -> model, and encoding and decoding of a record's value."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from contracts import events, topics
from contracts.envelope import Event


class UnknownType(LookupError):
    """This build has no model for a record's type, which is newer or foreign. Nothing was decoded."""


def _concrete() -> list[type[Event]]:
    """Return the leaf classes of contracts.events. A class with subclasses holds only their common fields."""
    modules = [import_module(found.name) for found in pkgutil.iter_modules(events.__path__, f"{events.__name__}.")]
    classes = [
        found
        for module in modules
        for found in vars(module).values()
        if isinstance(found, type) and issubclass(found, Event) and found.__module__ == module.__name__
    ]
    parents = {parent for found in classes for parent in found.__mro__[1:]}
    return [found for found in classes if found not in parents]


def _table(classes: list[type[Event]]) -> dict[str, type[Event]]:
    """Return type -> model in order of type.

    Raises `ValueError` for an unlisted topic, a duplicate type or a type without a key.
    """
    table: dict[str, type[Event]] = {}
    for model in sorted(classes, key=lambda found: found.TYPE):
        if model.TOPIC not in topics.BY_NAME:
            raise ValueError(f"{model.__name__}: topic {model.TOPIC!r} is not listed in contracts.topics")
        if model.TYPE in table:
            raise ValueError(f"{model.TYPE}: duplicate, defined by {table[model.TYPE].__name__} and {model.__name__}")
        if model.key is Event.key:
            raise ValueError(f"{model.__name__} does not define its key")
        table[model.TYPE] = model
    return table


MODELS: dict[str, type[Event]] = _table(_concrete())
"""Every type that `ce_type` may have. Dead letter topics need no model: they carry the failed record's own bytes under
its own type."""


def model_of(type: str) -> type[Event] | None:
    """Return the model of a full type such as `market.orders.order-placed.v1`, or None."""
    return MODELS.get(type)


def decode(type: str, value: bytes) -> Event:
    """Return the event in a record's value; fields that the model does not know are ignored.

    Raises `UnknownType` where the type has no model and pydantic's `ValidationError` where the value does not
    fit it. Both are permanent: a retry cannot succeed.
    """
    model = MODELS.get(type)
    if model is None:
        raise UnknownType(f"no model for type {type!r}")
    return model.model_validate_json(value)


def encode(event: Event) -> bytes:
    """Return the record's value: compact UTF-8 JSON of every field, defaults included, in the order of the class."""
    return event.model_dump_json().encode()
