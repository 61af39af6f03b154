"""Every event type with its model, and the two directions between an event and a record's value."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from contracts import events, topics
from contracts.envelope import Event


class UnknownType(LookupError):
    """A record's type that this build has no model for: a newer or foreign one. Nothing was decoded."""


def _concrete() -> list[type[Event]]:
    """The leaf classes of contracts.events: a class that others build on only says what they share."""
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
    """Type -> model in order of type. Raises `ValueError` where a topic is unlisted, a type double or keyless."""
    table: dict[str, type[Event]] = {}
    for model in sorted(classes, key=lambda found: found.TYPE):
        if model.TOPIC not in topics.BY_NAME:
            raise ValueError(f"{model.__name__}: topic {model.TOPIC!r} does not stand in contracts.topics")
        if model.TYPE in table:
            raise ValueError(f"{model.TYPE}: both {table[model.TYPE].__name__} and {model.__name__}")
        if model.key is Event.key:
            raise ValueError(f"{model.__name__} does not say its key")
        table[model.TYPE] = model
    return table


MODELS: dict[str, type[Event]] = _table(_concrete())
"""Every type that may stand in `ce_type`, except on the dead letter topics: those carry a parked record's own
bytes under its own type, so they need no model."""


def model_of(type: str) -> type[Event] | None:
    """The model of a full type such as `market.orders.order-placed.v1`, or None where there is none."""
    return MODELS.get(type)


def decode(type: str, value: bytes) -> Event:
    """The event in a record's value; fields that the model does not know are ignored.

    Raises `UnknownType` where the type has no model and pydantic's `ValidationError` where the value does not
    fit it; neither gets better by trying again.
    """
    model = MODELS.get(type)
    if model is None:
        raise UnknownType(f"no model for type {type!r}")
    return model.model_validate_json(value)


def encode(event: Event) -> bytes:
    """The record's value: compact UTF-8 JSON of every field, defaults too, in the order of the class."""
    return event.model_dump_json().encode()
