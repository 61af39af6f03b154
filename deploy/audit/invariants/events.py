"""Events by themselves: one content each, numbered without gaps, each fact published once, each command answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from contracts.topics import BY_NAME, DISPATCH
from deploy.audit.finding import Finding
from deploy.audit.invariants.facts import Fact, Tables, Topics, Views
from deploy.audit.invariants.invariant import Moment, invariant

ANSWERS = {
    "reserve-stock": frozenset({"stock-reserved", "stock-refused"}),
    "release-stock": frozenset({"reservation-released"}),
    "commit-stock": frozenset({"stock-committed", "commit-refused"}),
    "cancel-delivery": frozenset({"job-cancelled", "cancel-refused"}),
}
"""The events that answer a command, which is their cause. The answer to `schedule-delivery` may have other causes."""
_SCHEDULED = ("job-planned", "job-refused", "job-cancelled")
_ONCE = {
    "order": "placed delivered collected returned rejected cancelled failed reopened",
    "lot": "received released",
    "job": "loaded",
    "wave": "opened cut released done",
    "sale": "recorded voided",
    "campaign": "opened cut",
    "join": "accepted refunded",
}
"""Events that can be published only once about a subject, which is also the field that names it."""
_ONCE_AMONG = (
    ("end of a job", "job", ("job-delivered", "job-returned")),
    ("verdict", "campaign", ("campaign-formed", "campaign-failed")),
    ("handover", "order", ("job-delivered", "order-collected")),
    ("order-reserved", "reservation", ("order-reserved",)),
)
"""The same for several types together, with a name for them and the field that names the subject."""


@invariant(Moment.ALWAYS)
def one_content(topics: Topics) -> Iterator[Finding]:
    """An event id has one content, however often the event was sent, and is on one topic."""
    for first, copy in topics.repeats:
        if first.id and (first.type, first.subject, first.seq, first.content) != (
            copy.type, copy.subject, copy.seq, copy.content
        ):  # fmt: skip
            yield Finding("content", copy.id, f"differs from {first.where} under the same event id", copy.where)
    known: dict[str, Fact] = {}
    for fact in topics.events:
        if not is_dead_letter(fact.topic) and (other := known.setdefault(fact.id, fact)) is not fact:
            yield Finding("content", fact.id, f"is the event id of {other.where} too", fact.where)


@invariant(Moment.ALWAYS)
def numbered(topics: Topics) -> Iterator[Finding]:
    """Sequence numbers of a subject on a topic count from 1 without gaps, and never decrease within a partition.

    A compacted topic drops records, so it may have gaps. A terminal's records are in the partitions of its pools, which
    have no order among each other. Repeats are left out.
    """
    seen: dict[tuple[str, str], set[int]] = defaultdict(set)
    last: dict[tuple[str, str, str], int] = defaultdict(int)
    for event in (event for event in topics.events if event.seq):
        about, place = (event.topic, event.subject), (event.topic, event.subject, event.place)
        if event.seq in seen[about]:
            yield Finding("seq", event.subject, f"has number {event.seq} twice under different event ids", event.where)
        elif event.seq < last[place]:
            yield Finding("seq", event.subject, f"has number {event.seq} after {last[place]}", event.where)
        seen[about].add(event.seq)
        last[place] = max(last[place], event.seq)
    for topic, subject, seq in topics.given_up:
        if seq:
            seen[topic, subject].add(seq)
    for (topic, subject), found in sorted(seen.items()):
        missing = max(found) - len(found)
        if missing and not BY_NAME[topic].compacted:
            first = next(n for n in range(1, max(found)) if n not in found)
            yield Finding("seq", subject, f"lacks number {first} of {max(found)}", topic)


@invariant(Moment.ALWAYS)
def published_once(topics: Topics) -> Iterator[Finding]:
    """A fact that can be true only once is published once, not again under another event id."""
    alone = [
        (f"{field}-{type}", field, (f"{field}-{type}",)) for field, types in _ONCE.items() for type in types.split()
    ]
    for what, field, types in (*alone, *_ONCE_AMONG):
        known: dict[str, Fact] = {}
        for fact in topics.of(*types):
            first = known.setdefault(id := str(fact.data[field]), fact)
            if first is not fact:
                words = f"{fact.type} was published after {first.type} at {first.where}"
                yield Finding(f"duplicate {what}", id, words, fact.where)


@invariant(Moment.ALWAYS)
def answered_once(topics: Topics) -> Iterator[Finding]:
    """A command has one answer at most."""
    for command, given in _answers(topics):
        if len(given) > 1:
            what = f"{command.type} has {len(given)} answers: {', '.join(fact.type for fact in given)}"
            yield Finding("answer", command.data["order"], what, command.where)


@invariant(Moment.QUIET)
def answered(topics: Topics, tables: Tables | None = None) -> Iterator[Finding]:
    """Every command was answered. A job that waits for a recipient or a catalogue entry is answered later."""
    for command, given in _answers(topics):
        if not given:
            yield Finding("answer", command.data["order"], f"{command.type} was never answered", command.where)
    known = {fact.data["reservation"] for fact in topics.of(*_SCHEDULED)}
    jobs = tables.rows(DISPATCH, "job") if tables is not None else ()
    known |= {row["reservation"] for row in jobs if row["state"] == "incomplete"}
    for command in topics.of("schedule-delivery"):
        if command.data["reservation"] not in known:
            yield Finding("answer", command.data["order"], "schedule-delivery was never answered", command.where)


def _answers(topics: Topics) -> Iterator[tuple[Fact, list[Fact]]]:
    answers: dict[str, list[Fact]] = defaultdict(list)
    for fact in topics.of(*{type for types in ANSWERS.values() for type in types}):
        answers[fact.cause].append(fact)
    for command in topics.of(*ANSWERS):
        yield command, [fact for fact in answers.get(command.id, ()) if fact.type in ANSWERS[command.type]]


@invariant(Moment.ALWAYS)
def no_dead_letters(topics: Topics, tables: Tables | None = None, views: Views | None = None) -> Iterator[Finding]:
    """No message of our own services is a dead letter. Not so where content or an operator may be at fault."""
    for fact in topics.events:
        if is_dead_letter(fact.topic):
            yield Finding("dead letter", fact.subject, f"is on {fact.topic}", fact.where)
    for (service, table), rows in tables.items() if tables is not None else ():
        if table == "parked":
            for row in rows:
                yield Finding("dead letter", row["scope"], f"{row['consumer']}: {row['error']}", f"{service}.parked")
    for one in views.dead_letters if views is not None else ():
        yield Finding("dead letter", one, "is listed by its service", "/v1/parked")


def is_dead_letter(topic: str) -> bool:
    """Return True for the topic of a service's dead letters."""
    return topic.split(".")[1] == "dlq"
