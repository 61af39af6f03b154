"""Orders: none lost, none invented, each in exactly one state by its topic, its history and its row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from contracts.topics import ORDERS
from deploy.audit.finding import Finding
from deploy.audit.invariants.facts import Fact, History, HistoryEntry, Outcome, Row, Tables, Topics, Views
from deploy.audit.invariants.invariant import Moment, invariant

TOPIC = "orders.order.v1"
HANDED_OVER = frozenset({"delivered", "collected"})
UNKEPT = frozenset({"rejected", "expired", "cancelled", "failed", "returned"})
TERMINAL = HANDED_OVER | UNKEPT
# These states are not published: the topic has the order's end only.
_SILENT = frozenset({"cancelling", "failing"})
STATES = {"order-placed": "placed", "order-reopened": "placed"} | {
    f"order-{state}": state for state in (*TERMINAL, "held", "reserved", "scheduled", "ready", "loaded")
}
"""The state that an event brings."""
_TERMS = ("pool", "fulfilment", "payment", "total_fen")


def states(topics: Topics) -> dict[str, list[str]]:
    """Return the states that each order went through by its topic, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for fact in topics[TOPIC]:
        if fact.type in STATES:
            found[fact.subject].append(STATES[fact.type])
    return found


@invariant(Moment.QUIET)
def known(topics: Topics, tables: Tables) -> Iterator[Finding]:
    """Topic and table have the same orders, on the same terms."""
    rows = {row["order_id"]: row for row in tables.rows(ORDERS, "orders")}
    lines = tables.grouped(ORDERS, "order_line", "order_id")
    published = {fact.subject: fact for fact in topics.of("order-placed")}
    for order in sorted(rows.keys() | published.keys()):
        if order not in published:
            yield Finding("order", order, "was accepted but never published", "orders.orders")
        elif order not in rows:
            yield Finding("order", order, "was published but is not in the table", published[order].where)
        else:
            yield from _same_terms(rows[order], lines[order], published[order])


def _same_terms(row: Row, lines: Sequence[Row], placed: Fact) -> Iterator[Finding]:
    ours, theirs = [row[name] for name in _TERMS], [placed.data[name] for name in _TERMS]
    for terms, found in ((ours, lines), (theirs, placed.data["lines"])):
        terms.append([[line[name] for name in ("line", "item", "quantity", "amount_fen")] for line in found])
    for name, kept, published in zip((*_TERMS, "lines"), ours, theirs, strict=True):
        if kept != published:
            what = f"{name} is {kept} in the table, {published} in the topic"
            yield Finding("order", row["order_id"], what, placed.where)


@invariant(Moment.QUIET)
def lives(topics: Topics, tables: Tables) -> Iterator[Finding]:
    """An order went through the same states by its topic and by its history, and the last one is that of its row."""
    published: dict[str, list[Fact]] = defaultdict(list)
    for fact in topics[TOPIC]:
        published[fact.subject].append(fact)
    history = tables.grouped(ORDERS, "order_history", "order_id")
    for row in tables.rows(ORDERS, "orders"):
        order, steps = row["order_id"], history[row["order_id"]]
        yield from _history(row, steps)
        kept = _without_repeats([step["to_state"] for step in steps if step["to_state"] not in _SILENT])
        seen = _without_repeats([STATES[fact.type] for fact in published[order] if fact.type in STATES])
        if kept != seen:
            what = f"went {' > '.join(kept)} by its history, {' > '.join(seen)} by its topic"
            where = published[order][-1].where if published[order] else "orders.order_history"
            yield Finding("order", order, what, where)
        attempts = 1 + sum(fact.type == "order-reopened" for fact in published[order])
        if row["attempt"] != attempts:
            what = f"is at attempt {row['attempt']} by its row, {attempts} by its topic"
            yield Finding("order", order, what, "orders.orders")


def _history(row: Row, steps: Sequence[Row]) -> Iterator[Finding]:
    order = row["order_id"]
    where = "orders.order_history"
    if [step["n"] for step in steps] != list(range(1, row["version"] + 1)):
        yield Finding("order", order, f"has {len(steps)} steps of history, {row['version']} by its row", where)
    if steps and steps[-1]["to_state"] != row["state"]:
        yield Finding("order", order, f"is {row['state']} by its row, {steps[-1]['to_state']} by its history", where)
    for before, step in pairwise(steps):
        if step["from_state"] != before["to_state"]:
            what = f"step {step['n']} leaves {step['from_state']}, but the order was {before['to_state']}"
            yield Finding("order", order, what, where)
        if before["to_state"] in TERMINAL - {"expired"} and step["to_state"] != before["to_state"]:
            yield Finding("order", order, f"went on from {before['to_state']} to {step['to_state']}", where)


def _without_repeats(states: Sequence[str]) -> list[str]:
    return [state for n, state in enumerate(states) if n == 0 or states[n - 1] != state]


@invariant(Moment.ALWAYS)
def ends_once(topics: Topics) -> Iterator[Finding]:
    """An order ends once; only an expired one may go on, and that once."""
    for order, went in states(topics).items():
        ends = [state for state in went if state in TERMINAL]
        if len(ends) > 2 or (len(ends) == 2 and ends[0] != "expired"):
            yield Finding("ended twice", order, f"ended as {', '.join(ends)}", TOPIC)
        elif ends and went[-1] not in TERMINAL and ends[0] != "expired":
            yield Finding("ended twice", order, f"went on from {ends[0]} to {went[-1]}", TOPIC)


@invariant(Moment.ENDED)
def ended(topics: Topics) -> Iterator[Finding]:
    """Every order has ended."""
    for order, went in states(topics).items():
        if went[-1] not in TERMINAL:
            yield Finding("end", order, f"is still {went[-1]}", TOPIC)


@invariant(Moment.QUIET)
def not_lost(history: History, topics: Topics) -> Iterator[Finding]:
    """An accepted order was published, a refused one was not, and a published one was requested."""
    requested: dict[str, list[HistoryEntry]] = defaultdict(list)
    for entry in history.of("place"):
        requested[entry.operation.subject].append(entry)
    placed = {fact.subject: fact.where for fact in topics.of("order-placed")}
    for order, entries in requested.items():
        outcomes = {entry.outcome for entry in entries}
        if Outcome.OK in outcomes and order not in placed:
            yield Finding("lost order", order, "was accepted but never published", TOPIC)
        elif outcomes == {Outcome.FAIL} and order in placed:
            yield Finding("refused order exists", order, "was refused but published", placed[order])
    for order in placed.keys() - requested.keys():
        yield Finding("unknown order", order, "was published, but no client requested it", placed[order])


@invariant(Moment.ALWAYS)
def as_requested(history: History, topics: Topics) -> Iterator[Finding]:
    """An order equals its request, every repeat of the request got the same answer, and other content a refusal."""
    placed = {fact.subject: fact for fact in topics.of("order-placed")}
    answers: dict[str, str] = {}
    for entry in history.of("place", Outcome.OK):
        order, requested = entry.operation.subject, entry.operation.data
        if fact := placed.get(order):
            lines = [[line["item"], line["quantity"]] for line in fact.data["lines"]]
            names = ("lines", "payment", "fulfilment")
            got = (lines, fact.data["payment"], fact.data["fulfilment"])
            if got != tuple(requested[name] for name in names):
                yield Finding("other content", order, f"requested {dict(requested)}, placed {got}", fact.where)
        if answers.setdefault(order, entry.answer["hash"]) != entry.answer["hash"]:
            yield Finding("answers differ", order, "a repeat of the request got another answer", "history")
    for entry in history.of("altered", Outcome.OK):
        what = "another content under the same id was accepted"
        yield Finding("altered repeat accepted", entry.operation.subject, what, "history")


@invariant(Moment.QUIET)
def shown(topics: Topics, views: Views) -> Iterator[Finding]:
    """The views show exactly the published orders, each in its last state."""
    published = states(topics)
    for order in published.keys() | views.orders.keys():
        state = published[order][-1] if order in published else None
        view = views.orders[order].get("state") if order in views.orders else None
        if state != view:
            yield Finding("views differ", order, f"is {state} by its topic, {view} in the view", "/v1/orders")


@invariant(Moment.ALWAYS)
def have_stock(tables: Tables) -> Iterator[Finding]:
    """An order that is reserved, scheduled, ready or loaded has its stock: claimed firmly, or handed out."""
    found = {row["id"]: row["state"] for row in tables.rows("inventory", "reservation")}
    for row in tables.rows(ORDERS, "orders"):
        if row["state"] in {"reserved", "scheduled", "ready", "loaded"}:
            reservation = found.get(row["reservation"], "unknown")
            if reservation not in {"firm", "loaded", "collected", "returned"}:
                what = f"is {row['state']}, its reservation {row['reservation']} is {reservation}"
                yield Finding("reservation", row["order_id"], what, "inventory.reservation")
