"""Cleans up after a re-cut of an unstable topic: schemas of removed types, examples that no longer fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contracts.envelope import Event
from contracts.registry import MODELS, decode, encode
from contracts.tools.checks import lost
from contracts.tools.schemas import EXAMPLES, RECORDS, SCHEMAS, as_text, type_of
from contracts.topics import TOPIC_KEYWORD


def recut(stable: set[str]) -> dict[Path, str | None]:
    """Return path -> its text without removed fields, or None for a file to be deleted.

    Only for types of topics that are not in `stable`; a file that still fits is omitted.
    """
    kept = {model.TYPE for model in MODELS.values() if model.TOPIC in stable}
    found: dict[Path, str | None] = {}
    for path in SCHEMAS.glob("*.json"):
        type = type_of(path.stem)
        if type not in MODELS and _json(path).get(TOPIC_KEYWORD) in stable:
            kept.add(type)
        elif type not in MODELS:
            found[path] = None
    for path in EXAMPLES.rglob("*.json"):
        example = _json(path)
        is_record = path.parent == RECORDS
        type = example["headers"]["ce_type"] if is_record else type_of(path.parent.name)
        if type in kept or (is_record and example["value"] is None):
            continue
        event = _event(type, example["value"] if is_record else example)
        fitting = None if event is None else _record(example, event) if is_record else _fitted(example, event)
        if fitting != example:
            found[path] = None if fitting is None else as_text(fitting)
    return found


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _event(type: str, data: Any) -> Event | None:
    try:
        return decode(type, json.dumps(data).encode())
    except (LookupError, ValueError):
        return None


def _fitted(was: Any, event: Event) -> Any:
    now = json.loads(encode(event))
    return _without(was, now) if any(lost(was, now)) else was


def _record(example: Any, event: Event) -> Any:
    headers = example["headers"] | {"ce_partitionkey": event.key, "ce_subject": event.subject}
    head = {"headers": headers, "key": event.key, "topic": event.TOPIC}
    return example | head | {"value": _fitted(example["value"], event)}


def _without(was: Any, now: Any) -> Any:
    """Return `was` with only the fields that are in `now`."""
    if isinstance(was, dict) and isinstance(now, dict):
        return {key: _without(value, now[key]) for key, value in was.items() if key in now}
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        return [_without(value, other) for value, other in zip(was, now, strict=True)]
    return now
