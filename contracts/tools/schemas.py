"""The committed JSON Schema of every event type, for readers without our code."""

from __future__ import annotations

import json
from pathlib import Path

from contracts.compat import Schema
from contracts.envelope import Event
from contracts.topics import TOPIC_KEYWORD

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = ROOT / "schemas"
EXAMPLES = ROOT / "examples"
RECORDS = EXAMPLES / "records"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def stem(type: str) -> str:
    """Return the name of a type's files: `orders.order-placed.v1` for `market.orders.order-placed.v1`."""
    return type.removeprefix("market.")


def type_of(stem: str) -> str:
    """Return the full type of a file's name: the inverse of `stem`."""
    return f"market.{stem}"


def schema_of(model: type[Event]) -> Schema:
    """Return the model's JSON Schema as readers may rely on it: a field with a default is optional."""
    head = {"$schema": _DIALECT, "$id": f"schemas/{stem(model.TYPE)}.json", TOPIC_KEYWORD: model.TOPIC}
    return head | model.model_json_schema()


def text_of(model: type[Event]) -> str:
    """Return the schema as committed: the same bytes for the same model, keys sorted, Chinese readable."""
    return as_text(schema_of(model))


def as_text(value: object) -> str:
    """Return JSON in the format of all committed contract files: two spaces, keys sorted, one final newline."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
