"""Every accepted order is in exactly one state: by its topic, its history and its row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from contracts.topics import ORDERS
from deploy.audit.evidence.evidence import Evidence, Fact
from deploy.audit.evidence.tables import Row
from deploy.audit.finding import Finding

TOPIC = "orders.order.v1"
HANDED_OVER = frozenset({"delivered", "collected"})
UNKEPT = frozenset({"rejected", "expired", "cancelled", "failed", "returned"})
TERMINAL = HANDED_OVER | UNKEPT
# These states are not published: the topic has the order's end only.
_SILENT = frozenset({"cancelling", "failing"})
_STATE = {"order-placed": "placed", "order-reopened": "placed"} | {
    f"order-{state}": state for state in (*TERMINAL, "held", "reserved", "scheduled", "ready", "loaded")
}


def known(evidence: Evidence) -> Iterator[Finding]:
    """Topic and table have the same orders, on the same terms."""
    rows = {row["order_id"]: row for row in evidence.rows(ORDERS, "orders")}
    lines = evidence.grouped(ORDERS, "order_line", "order_id")
    published = {fact.subject: fact for fact in evidence.facts.get(TOPIC, ()) if fact.type == "order-placed"}
    for order in sorted(rows.keys() | published.keys()):
        if order not in published:
            yield Finding("order", order, "was accepted but never published", "orders.orders")
        elif order not in rows:
            yield Finding("order", order, "was published but is not in the table", published[order].where)
        else:
            yield from _same_terms(rows[order], lines[order], published[order])


def _same_terms(row: Row, lines: Sequence[Row], placed: Fact) -> Iterator[Finding]:
    names = ("pool", "fulfilment", "payment", "total_fen")
    ours = [row[name] for name in names]
    ours.append([[line["line"], line["item"], line["quantity"], line["amount_fen"]] for line in lines])
    theirs = [placed.data[name] for name in names]
    theirs.append([[line["line"], line["item"], line["quantity"], line["amount_fen"]] for line in placed.data["lines"]])
    for name, kept, published in zip((*names, "lines"), ours, theirs, strict=True):
        if kept != published:
            yield Finding(
                "order", row["order_id"], f"{name} is {kept} in the table, {published} in the topic", placed.where
            )


def lives(evidence: Evidence) -> Iterator[Finding]:
    """An order went through the same states by its topic and by its history, and the last one is that of its row."""
    published: dict[str, list[Fact]] = defaultdict(list)
    for fact in evidence.facts.get(TOPIC, ()):
        published[fact.subject].append(fact)
    history = evidence.grouped(ORDERS, "order_history", "order_id")
    for row in evidence.rows(ORDERS, "orders"):
        order, steps = row["order_id"], history[row["order_id"]]
        yield from _history(row, steps)
        kept = _without_repeats([step["to_state"] for step in steps if step["to_state"] not in _SILENT])
        seen = _without_repeats([_STATE[fact.type] for fact in published[order] if fact.type in _STATE])
        if kept != seen:
            what = f"went {' > '.join(kept)} by its history, {' > '.join(seen)} by its topic"
            yield Finding(
                "order", order, what, published[order][-1].where if published[order] else "orders.order_history"
            )
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


def ended(evidence: Evidence) -> Iterator[Finding]:
    """Every order has ended. Checked only when a day is over."""
    for row in evidence.rows(ORDERS, "orders"):
        if row["state"] not in TERMINAL:
            yield Finding("end", row["order_id"], f"is still {row['state']}", "orders.orders")
