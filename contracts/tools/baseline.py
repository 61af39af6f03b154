"""`baseline.json`: the commit from which each topic is stable. A topic without an entry is not stable.

It is a committed file and not a tag, because a checkout may have no tags.
"""

from __future__ import annotations

import json
import re
from typing import Any

from contracts.registry import MODELS
from contracts.tools.history import NoHistory, Version, committed, is_ancestor
from contracts.tools.schemas import EXAMPLES, ROOT, SCHEMAS, type_of
from contracts.topics import TOPIC_KEYWORD

FILE = ROOT / "baseline.json"
_COMMIT = re.compile(r"[0-9a-f]{40}")


def entries() -> dict[str, str]:
    """Return topic -> the full id of its commit. Raises `ValueError` naming a wrong entry."""
    try:
        found: Any = json.loads(FILE.read_text("utf-8"))
    except (OSError, ValueError) as wrong:
        raise ValueError(f"{FILE.name} cannot be read as a JSON object of topic -> commit: {wrong}") from wrong
    if not isinstance(found, dict):
        raise ValueError(f"{FILE.name} is {found!r}; expected a JSON object of topic -> commit")
    known = {model.TOPIC for model in MODELS.values()}
    for topic, commit in found.items():
        if topic not in known:
            raise ValueError(f"{FILE.name}: {topic!r} is no topic with event types; expected one of {sorted(known)}")
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise ValueError(f"{FILE.name}: {topic} has {commit!r}; expected the 40 hex digits of a commit")
    return found


def unstable() -> list[str]:
    """Return the topics with event types and without an entry, in order of name. Raises `ValueError` as `entries`."""
    stable = entries()
    return sorted({model.TOPIC for model in MODELS.values()} - stable.keys())


def counted(stable: dict[str, str]) -> tuple[list[Version], list[Version], list[str]]:
    """Return the schemas and examples of stable topics in git's history from their commits on, each content once.

    The last list has notes on topics without an available history. Raises `ValueError` for an entry with a commit that
    is not in the history of HEAD.
    """
    schemas: list[Version] = []
    examples: list[Version] = []
    notes: list[str] = []
    for commit in dict.fromkeys(stable.values()):
        topics = sorted(topic for topic, since in stable.items() if since == commit)
        try:
            if not is_ancestor(ROOT, commit):
                raise ValueError(
                    f"{FILE.name}: commit {commit} of {', '.join(topics)} is not in the history of HEAD; "
                    "expected the id that the commit has on the main branch"
                )
            found = [each for each in committed(SCHEMAS, commit) if each.data().get(TOPIC_KEYWORD) in topics]
            types = {_type(each) for each in found}
            schemas += found
            examples += [each for each in committed(EXAMPLES, commit) if _type(each) in types]
        except NoHistory as why:
            notes.append(f"{', '.join(topics)} compared with the working tree only: {why}")
    return schemas, examples, notes


def _type(version: Version) -> str:
    folder = version.name.split("/")[0]
    if folder == "records":
        return str(version.data()["headers"]["ce_type"])
    return type_of(folder.removesuffix(".json"))
