"""No person stands in a topic that others may read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from contracts.topics import ORDERS
from deploy.audit.evidence import Evidence
from deploy.audit.finding import Finding
from deploy.audit.log import Record

# Ids and times make nearly all texts different and can't hold a name.
_IDS = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-][\d:]+)?"
)
# A name of one character stands in half of all words; shorter numbers and addresses say nothing of anybody.
_NAME, _PHONE, _ADDRESS = 2, 7, 4
# The catalogue names goods and places, which people are called after: there only telephone numbers are looked for.
_CATALOGUE = "orders.catalog.v1"


def absent(evidence: Evidence) -> Iterator[Finding]:
    """No name, telephone number or address of a recipient stands in any public topic."""
    texts: dict[str, Record] = {}
    catalogue: dict[str, Record] = {}
    for record in evidence.log.records:
        into = catalogue if record.topic == _CATALOGUE else texts
        for text in _texts(record):
            into.setdefault(_IDS.sub("", text), record)
    yield from _found(evidence, texts, {"name": _NAME, "phone": _PHONE, "address": _ADDRESS})
    yield from _found(evidence, catalogue, {"phone": _PHONE})


def _found(evidence: Evidence, texts: dict[str, Record], columns: dict[str, int]) -> Iterator[Finding]:
    people = [*evidence.rows(ORDERS, "recipient"), *evidence.rows(ORDERS, "campaign_person")]
    everything = "\n".join(texts)
    for column, least in columns.items():
        owners = {row[column]: row["order_id"] for row in people}
        for value, order in owners.items():
            if len(value) >= least and value in everything:
                record = next(record for text, record in texts.items() if value in text)
                yield Finding("person", order, f"the {column} of its recipient stands in a public topic", record.where)


def _texts(record: Record) -> Iterator[str]:
    yield record.key
    yield from record.headers.values()
    try:
        yield from _strings(json.loads(record.value or b"null"))
    except ValueError:
        yield (record.value or b"").decode(errors="replace")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, int | float):
        yield str(value)
