"""The contract state: a digest for each topic, on which kept records and the code that reads them must agree."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from contracts.compat import plain
from contracts.topics import TOPIC_KEYWORD, TOPICS

_ROOT = Path(__file__).resolve().parent


class TopicState(NamedTuple):
    """`digest` covers the key, how the topic is kept and the schemas of its types; `since` is its baseline's commit."""

    digest: str
    since: str | None


def contract_state() -> dict[str, TopicState]:
    """Return the state of every topic with event types, from the committed files.

    Titles, descriptions and the known values of open enumerations are not in the digest.
    """
    stable: dict[str, str] = json.loads((_ROOT / "baseline.json").read_text("utf-8"))
    types: dict[str, dict[str, Any]] = {}
    for path in sorted((_ROOT / "schemas").glob("*.json")):
        schema = json.loads(path.read_text("utf-8"))
        types.setdefault(schema[TOPIC_KEYWORD], {})[path.stem] = plain(schema)
    found: dict[str, TopicState] = {}
    for topic in TOPICS:
        if topic.name in types:
            parts = (topic.keyed_by, topic.compacted, types[topic.name])
            digest = sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
            found[topic.name] = TopicState(digest, stable.get(topic.name))
    return found


def differing(made: dict[str, TopicState], now: dict[str, TopicState]) -> list[str]:
    """Return the topics with records made under one state that may be unreadable under the other, in order of name.

    A topic that is stable since the same commit in both never differs, and a stable topic may be added.
    """
    return [topic for topic in sorted(made.keys() | now.keys()) if not _fit(made.get(topic), now.get(topic))]


def _fit(made: TopicState | None, now: TopicState | None) -> bool:
    if now is None:
        return False
    if made is None:
        return now.since is not None
    return made.digest == now.digest or (now.since is not None and made.since == now.since)
