"""The table of topics and types in contracts/README.md, generated from the code."""

from __future__ import annotations

from contracts.envelope import Event
from contracts.registry import MODELS
from contracts.tools.schemas import ROOT, stem
from contracts.topics import OBSERVER, TOPICS, Topic

README = ROOT / "README.md"
BEGIN, END = "<!-- made by `halfday contracts docs`: begin -->", "<!-- end -->"
_SUBJECTS = {  # on every other topic the subject is the key
    "inventory.command.v1": "reservation",
    "inventory.stock.v1": "reservation, terminal, or pool/item",
    "dispatch.job.v1": "job",
}


def subject_of(topic: Topic) -> str:
    """Return the subject of a topic's records, in words."""
    return _SUBJECTS.get(topic.name, topic.keyed_by)


def types_of(topic: Topic) -> list[type[Event]]:
    """Return the models of a topic, in order of type; none for a dead letter topic."""
    return [model for model in MODELS.values() if topic.name == model.TOPIC]


def table() -> str:
    """Return the Markdown: one row a topic, then one row a type with its first sentence."""
    rows = ["| Topic | Key | Subject | Written by | Read by | Kept | Types |", "|---|---|---|---|---|---|---|"]
    rows += [_row(topic) for topic in TOPICS]
    rows += ["", "| Type | Says |", "|---|---|"]
    for topic in TOPICS:
        for model in types_of(topic):
            name = stem(model.TYPE)
            rows.append(f"| [`{name}`](schemas/{name}.json) | {_sentence(model)} |")
    return "\n".join(rows)


def _row(topic: Topic) -> str:
    readers = topic.readers if topic.private else (*topic.readers, OBSERVER)
    kept = ("compacted" if topic.compacted else "60 days") + (", private" if topic.private else "")
    types = ", ".join(f"`{model.TYPE.split('.')[2]}`" for model in types_of(topic))
    types = types or ("dead letters: failed records unchanged" if topic.name.endswith(".dlq.v1") else "none yet")
    partitions = f"`{topic.name}` ({topic.partitions})"
    columns = (partitions, topic.keyed_by, subject_of(topic), ", ".join(topic.writers), ", ".join(readers), kept, types)
    return f"| {' | '.join(columns)} |"


def _sentence(model: type[Event]) -> str:
    text = " ".join((model.__doc__ or "").split("\n\n")[0].split())
    return text.replace("|", "\\|")


def written(readme: str) -> str:
    """Return the README's text with today's table between its markers. Raises `ValueError` for a missing marker."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"contracts/README.md lacks its markers {BEGIN!r} and {END!r}: restore them")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"
