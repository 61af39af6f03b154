"""The AsyncAPI document as one HTML page: channels, writers and readers, messages with fields and an example."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from contracts.compat import Schema
from contracts.registry import MODELS
from contracts.tools.asyncapi import document
from contracts.tools.schemas import EXAMPLES, ROOT, schema_of, stem

FILE = ROOT / "asyncapi.html"
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} events</title>
<link rel="stylesheet" href="/docs/docs.css">
</head>
<body>
<header><h1>{title} events</h1><p>{description} Programs read <a href="/asyncapi.yaml">/asyncapi.yaml</a>.</p></header>
<main>"""


def text() -> str:
    """Return the page, made from the document and the schemas alone: the same bytes for the same contracts."""
    api = document()
    head = _HEAD.format(**{name: escape(value) for name, value in api["info"].items()})
    envelope = api["components"]["messageTraits"]["envelope"]["headers"]
    parts = [head, "<h2>Headers of every record</h2>", _table(_fields(envelope))]
    for name in api["channels"]:
        parts += [f'<h2 id="{name}">{name}</h2>', *_channel(api, name)]
    return "\n".join([*parts, "</main>", "</body>", "</html>", ""])


def _channel(api: dict[str, Any], name: str) -> Iterator[str]:
    channel = api["channels"][name]
    kafka = channel["bindings"]["kafka"]
    kept = kafka["topicConfiguration"]
    days = f"kept {kept['retention.ms'] // 86_400_000} days" if "retention.ms" in kept else "compacted"
    sides = [one for one in api["operations"].values() if one["channel"]["$ref"].endswith(f"/{name}")]
    who = {side: _names(sides, side) for side in ("send", "receive")}
    yield f"<p>{escape(channel['description'])}</p>"
    yield f"<p>Written by {who['send']}; read by {who['receive']}; {kafka['partitions']} partitions; {days}.</p>"
    for message in channel["messages"]:
        yield _message(f"{name}/{message}", message, api["components"]["messages"][message])


def _names(sides: list[dict[str, Any]], action: str) -> str:
    found = [tag["name"] for side in sides if side["action"] == action for tag in side["tags"]]
    return ", ".join(found) or "none of the services"


def _message(id: str, name: str, message: dict[str, Any]) -> str:
    summary = f"<summary><code>{name}</code> {escape(message['summary'])}</summary>"
    model = next((model for type, model in MODELS.items() if stem(type) == name), None)
    about = ""
    if model:
        file = EXAMPLES / name / "001.json"
        example = file.read_text("utf-8").strip() if file.is_file() else ""  # a new type has none before `write`
        about = f"{_table(_fields(schema_of(model)))}\n<pre>{escape(example)}</pre>"
    return f'<details id="{id}">{summary}<div class="about">{about}</div></details>'


def _table(rows: Iterator[tuple[str, str, str]]) -> str:
    cells = (f"<tr><td><code>{name}</code></td><td>{kind}</td><td>{says}</td></tr>" for name, kind, says in rows)
    return "<table>\n" + "\n".join(cells) + "\n</table>"


def _fields(schema: Schema, root: Schema | None = None, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield every field with its path (`lines[].item`), its kind and its description; optional ones with a `?`."""
    root = root or schema
    for name, field in schema.get("properties", {}).items():
        needed = "" if name in schema.get("required", ()) else "?"
        inner, kind, plural = _open(field, root)
        full = f"{path}{name}{plural}"
        yield escape(full + needed), escape(kind), escape(inner.get("description", field.get("description", "")))
        # A type within itself is shown once.
        if path.count(".") < 3:
            yield from _fields(inner, root, f"{full}.")


def _open(field: Schema, root: Schema) -> tuple[Schema, str, str]:
    """Resolve references, lists and `null`: return the inner schema, its kind in words, and `[]` for a list."""
    if "$ref" in field:
        return _open(root["$defs"][field["$ref"].rpartition("/")[2]], root)
    if "anyOf" in field:
        opened = [_open(one, root) for one in field["anyOf"]]
        first = next(one for one in opened if one[1] != "null")
        return first[0], " or ".join(kind for _, kind, _ in opened), first[2]
    if field.get("type") == "array":
        inner, kind, plural = _open(field.get("items", {}), root)
        return inner, f"list of {kind}", plural + "[]"
    if "const" in field:
        return field, repr(field["const"]), ""
    kind = field.get("format") or field.get("type", "any")
    examples = field.get("enum") or field.get("examples")
    return field, f"{kind}: {', '.join(map(str, examples))}" if examples else str(kind), ""
