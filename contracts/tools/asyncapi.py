"""The AsyncAPI 3 document of all topics, made from the registry and the table of topics."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

from contracts.envelope import Event
from contracts.registry import MODELS
from contracts.tools.docs import subject_of, types_of
from contracts.tools.schemas import ROOT, stem
from contracts.topics import RETENTION_MS, TOPICS, Topic

FILE = ROOT / "asyncapi.yaml"
_DEAD_LETTER = "dead-letter"
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_HEADERS = {
    "ce_specversion": "always 1.0",
    "ce_id": "UUID of the record; a repeat carries the same",
    "ce_type": "the full type",
    "ce_source": "the service that wrote it",
    "ce_subject": "what it is about; a record that cannot be processed blocks later ones of its subject",
    "ce_time": "RFC 3339",
    "ce_dataschema": "the committed schema of the value",
    "ce_partitionkey": "the Kafka key",
    "ce_seq": "numbers the records of one subject on one topic from 1 without holes",
    "ce_readers": "the services that read the type in the sender's version, comma-separated, or none",
    "ce_correlationid": "the request that led here",
    "ce_causationid": "the record that led here",
    "traceparent": "W3C trace context",
}


def document() -> dict[str, Any]:
    """Return the document; payloads refer to the committed schemas by path."""
    messages: dict[str, Any] = {stem(model.TYPE): _message(model) for model in MODELS.values()}
    messages[_DEAD_LETTER] = {
        "name": _DEAD_LETTER,
        "summary": "A record that could not be processed: its own bytes and headers, with the reason and the origin.",
        "contentType": "application/octet-stream",
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Halfday",
            "version": "1.0.0",
            "description": "Village markets, group-buys and same-day delivery as one stream of facts over Kafka.",
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": dict(operation for topic in TOPICS for operation in _operations(topic)),
        "components": {
            "messages": messages,
            "messageTraits": {"envelope": {"headers": _headers()}},
        },
    }


def text() -> str:
    """Return the document as YAML, the same bytes for the same contracts."""
    return "# Made by `halfday contracts docs` from contracts/registry.py and contracts/topics.py.\n" + _yaml(
        document()
    )


def _channel(topic: Topic) -> dict[str, Any]:
    names = [stem(model.TYPE) for model in types_of(topic)]
    if topic.name.endswith(".dlq.v1"):
        names = [_DEAD_LETTER]
    kept = {"cleanup.policy": ["compact"]} if topic.compacted else {"retention.ms": RETENTION_MS}
    return {
        "address": topic.name,
        "description": f"Keyed by {topic.keyed_by}; a record is about: {subject_of(topic)}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"kafka": {"partitions": topic.partitions, "topicConfiguration": kept, "bindingVersion": "0.5.0"}},
    }


def _operations(topic: Topic) -> list[tuple[str, dict[str, Any]]]:
    sides = [("send", writer) for writer in topic.writers] + [("receive", reader) for reader in topic.readers]
    channel = {"$ref": f"#/channels/{topic.name}"}
    return [
        (f"{service}-{action}-{topic.name}", {"action": action, "channel": channel, "tags": [{"name": service}]})
        for action, service in sides
    ]


def _message(model: type[Event]) -> dict[str, Any]:
    return {
        "name": model.TYPE,
        "summary": " ".join(inspect.cleandoc(model.__doc__ or "").split("\n\n")[0].split()),
        "traits": [{"$ref": "#/components/messageTraits/envelope"}],
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./schemas/{stem(model.TYPE)}.json"},
        },
    }


def _headers() -> dict[str, Any]:
    fields = {name: {"type": "string", "description": text} for name, text in _HEADERS.items()}
    required = ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time"]
    return {"type": "object", "properties": fields, "required": required}


def _yaml(node: Any, indent: str = "") -> str:
    # Block style for filled collections; scalars and empty collections as JSON, which is YAML too.
    lines = []
    pairs = node.items() if isinstance(node, dict) else (("-", value) for value in node)
    for key, value in pairs:
        name = key if _PLAIN.fullmatch(key) else json.dumps(key)
        head = f"{indent}-" if isinstance(node, list) else f"{indent}{name}:"
        filled = isinstance(value, dict | list) and value
        lines.append(f"{head}\n{_yaml(value, indent + '  ')}" if filled else f"{head} {json.dumps(value)}\n")
    return "".join(lines)
