"""The committed JSON Schema of every event type: what a reader without our code follows."""

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
    """The name of a type's files: `market.orders.order-placed.v1` is kept as `orders.order-placed.v1`."""
    return type.removeprefix("market.")


def type_of(stem: str) -> str:
    """The full type of a file's name, the way back of `stem`."""
    return f"market.{stem}"


def schema_of(model: type[Event]) -> Schema:
    """The model's JSON Schema as readers may rely on it: a field with a default is optional."""
    head = {"$schema": _DIALECT, "$id": f"schemas/{stem(model.TYPE)}.json", TOPIC_KEYWORD: model.TOPIC}
    return head | model.model_json_schema()


def text_of(model: type[Event]) -> str:
    """The schema as it is committed: the same bytes for the same model, keys sorted, Chinese readable."""
    return as_text(schema_of(model))


def as_text(value: object) -> str:
    """JSON as every committed file of the contracts has it: two spaces, keys sorted, one newline at the end."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
