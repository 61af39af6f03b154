"""The checks of `halfday contracts check`: each compares the code with the committed files and names differences."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from contracts import readers
from contracts.compat import Schema, breaks
from contracts.envelope import Unreadable, read_envelope
from contracts.registry import MODELS, decode, encode, model_of
from contracts.tools import asyncapi, asyncapi_page, consumers, docs
from contracts.tools.baseline import FILE, counted, entries
from contracts.tools.history import WORKING, Version, present
from contracts.tools.samples import samples
from contracts.tools.schemas import EXAMPLES, SCHEMAS, schema_of, stem, text_of, type_of
from contracts.topics import BY_NAME


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding: the check, the file or type, and the message with the remedy or the effect."""

    check: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message} ({self.check})"


@dataclass(frozen=True, slots=True)
class Published:
    """The versions to compare with, the working tree first; `notes` name those that were not available."""

    schemas: list[Version]
    examples: list[Version]
    notes: list[str] = field(default_factory=list)


def published() -> Published:
    """Read the working tree and, for stable topics, git's history from their baseline on; each content once.

    Raises `ValueError` when `baseline.json` is invalid.
    """
    schemas, examples, notes = counted(entries())
    return Published(_distinct(present(SCHEMAS) + schemas), _distinct(present(EXAMPLES) + examples), notes)


def _distinct(versions: list[Version]) -> list[Version]:
    return list({(version.name, version.text): version for version in reversed(versions)}.values())[::-1]


def drift(versions: Iterable[Version]) -> Iterator[Finding]:
    """Compare the committed schemas and documents with those of the code."""
    now = {version.name.removesuffix(".json"): version.text for version in versions if version.origin == WORKING}
    for type, model in MODELS.items():
        text = now.pop(stem(type), None)
        if text != text_of(model):
            wrong = "has no schema yet" if text is None else "differs from its committed schema"
            yield Finding("drift", type, f"{wrong}: run `halfday contracts write`")
    for name in now:
        yield Finding("drift", f"schemas/{name}.json", "no event class has this type")
    written = {
        docs.README: docs.written(docs.README.read_text("utf-8")),
        asyncapi.FILE: asyncapi.text(),
        asyncapi_page.FILE: asyncapi_page.text(),
    }
    for path, text in written.items():
        if not path.exists() or path.read_text("utf-8") != text:
            yield Finding("drift", path.name, "is out of date: run `halfday contracts docs`")


def compatible(versions: Iterable[Version]) -> Iterator[Finding]:
    """Compare today's models with every published schema of their type."""
    seen: set[tuple[str, str]] = set()
    for version in versions:
        type = type_of(version.name.removesuffix(".json"))
        model = model_of(type)
        if model is None:
            texts = [] if version.origin == WORKING else ["was published and has no event class any more"]
        else:
            texts = [str(found) for found in breaks(version.data(), schema_of(model))]
        for text in texts:
            if (type, text) not in seen:
                seen.add((type, text))
                yield Finding("compatibility", type, f"{text} [against {version.origin}]")


def golden(versions: Iterable[Version]) -> Iterator[Finding]:
    """Check that every published example loads without loss, every type has one, and records carry an envelope."""
    shown: set[str] = set()
    for version in versions:
        folder = version.name.split("/")[0]
        example = version.data()
        where = f"examples/{version.name}@{version.origin}"
        shown.add(folder)
        try:
            if folder == "records":
                envelope = read_envelope(example["headers"])
                type, data = envelope.type, example["value"]
            else:
                type, data = type_of(folder), example
            if data is not None:  # a tombstone
                event = decode(type, json.dumps(data).encode())
                yield from (Finding("golden", where, text) for text in lost(data, json.loads(encode(event))))
                if folder == "records" and (event.key, event.subject) != (example["key"], envelope.subject):
                    yield Finding("golden", where, f"key or subject is not {event.key!r}, {event.subject!r}")
        except ValidationError as wrong:
            first = wrong.errors(include_url=False)[0]
            yield Finding(
                "golden", where, f"does not load any more: /{'/'.join(map(str, first['loc']))}: {first['msg']}"
            )
        except (LookupError, Unreadable) as wrong:
            yield Finding("golden", where, f"does not load any more: {wrong}")
    for type in MODELS:
        if stem(type) not in shown:
            yield Finding("golden", type, "has no example: run `halfday contracts write`, then make it realistic")


def lost(was: Any, now: Any, at: str = "") -> Iterator[str]:
    """Yield each value that is not the same after decoding and encoding: a JSON pointer and both values."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key, value in was.items():
            yield from lost(value, now.get(key), f"{at}/{key}")
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for index, (value, other) in enumerate(zip(was, now, strict=True)):
            yield from lost(value, other, f"{at}/{index}")
    elif was != now:
        yield f"{at} was {was!r} and is {now!r} after decoding and encoding"


def sampled(versions: Iterable[Version]) -> Iterator[Finding]:
    """Check that records of today's producers fit every published schema. Needs jsonschema, a test dependency."""
    # imported here, because a runtime installation has no jsonschema
    from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]

    written = {
        type: [json.loads(encode(decode(type, json.dumps(sample).encode()))) for sample in samples(schema_of(model))]
        for type, model in MODELS.items()
    }
    for version in versions:
        type = type_of(version.name.removesuffix(".json"))
        checker = Draft202012Validator(version.data(), format_checker=FormatChecker())
        for sample in written.get(type, ()):
            for error in checker.iter_errors(sample):
                text = f"a record of today breaks {error.json_path}: {error.message} [schema of {version.origin}]"
                yield Finding("samples", type, text)


def consumed(versions: Iterable[Version], listed: dict[str, readers.Reads] | None = None) -> Iterator[Finding]:
    """Check that the fields of each consumer list exist, are on a topic that the service may read, and have not become
    optional.
    """
    olds: dict[str, list[Schema]] = {}
    for version in versions:
        olds.setdefault(type_of(version.name.removesuffix(".json")), []).append(version.data())
    for service, reads in (readers.listed() if listed is None else listed).items():
        where = f"consumers/{service}.yaml"
        for name, fields in reads.items():
            model = model_of(type_of(name))
            if model is None:
                yield Finding("consumers", where, f"{service} reads {name}, which does not exist")
            elif service not in BY_NAME[model.TOPIC].readers:
                yield Finding("consumers", where, f"{service} reads {name}, but {model.TOPIC} is not for it")
            else:
                new = schema_of(model)
                for text in (t for dotted in fields for t in _field(dotted, new, olds.get(model.TYPE, []))):
                    yield Finding("consumers", where, f"{service} reads `{name}` {text}")


def _field(dotted: str, new: Schema, olds: list[Schema]) -> Iterator[str]:
    now = consumers.field(new, dotted)
    if now is None:
        yield f"field `{dotted}`, which does not exist"
    elif not now[1] and any(old[1] for old in (consumers.field(schema, dotted) for schema in olds) if old):
        yield f"field `{dotted}` and counts on it, but it is optional now"


def everything() -> tuple[list[Finding], list[str]]:
    """Run all checks; return the findings, and notes on anything that could not be checked here."""
    try:
        base = published()
    except ValueError as wrong:
        return [Finding("baseline", FILE.name, str(wrong))], []
    found: list[Finding] = []
    notes = list(base.notes)
    for check, versions in (
        (drift, base.schemas),
        (compatible, base.schemas),
        (golden, base.examples),
        (consumed, base.schemas),
        (sampled, base.schemas),
    ):
        try:
            found += check(versions)
        except ImportError:
            notes.append("samples were not validated against the schemas: jsonschema is missing; run `halfday test`")
        except ValueError as wrong:
            found.append(Finding(check.__name__, "contracts", str(wrong)))
    return list(dict.fromkeys(found)), notes
