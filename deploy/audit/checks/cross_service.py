"""Two services that both record a thing agree about it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from uuid import UUID

from contracts.topics import DISPATCH, INVENTORY, ORDERS
from contracts.values import reservation_of
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.finding import Finding

# The states of reservation and job that an order's state implies once every message has arrived. While an order is
# cancelling or failing, they may be in any state.
_GIVEN_UP = frozenset({"released", "expired", "refused", "tombstone"})
_RESERVATION: Mapping[str, frozenset[str]] = {
    "held": frozenset({"held"}),
    "reserved": frozenset({"firm"}),
    "scheduled": frozenset({"firm"}),
    "ready": frozenset({"firm"}),
    "loaded": frozenset({"loaded"}),
    "delivered": frozenset({"loaded"}),
    "collected": frozenset({"collected"}),
    "returned": frozenset({"returned", "released"}),
    "rejected": frozenset({"refused"}),
    "expired": frozenset({"expired", "released"}),
    "cancelled": _GIVEN_UP,
    "failed": _GIVEN_UP,
}
_ENDING = frozenset({"cancelling", "failing"})
_NO_JOB = frozenset({"no job"})
_JOB: Mapping[str, frozenset[str]] = {
    "placed": _NO_JOB,
    "held": _NO_JOB,
    "reserved": frozenset({"incomplete"}),
    "scheduled": frozenset({"planned", "assigned"}),
    "loaded": frozenset({"loaded"}),
    "delivered": frozenset({"delivered"}),
    "returned": frozenset({"returned"}),
    "rejected": _NO_JOB,
    "expired": _NO_JOB,
    "cancelled": _NO_JOB | {"cancelled", "refused"},
    "failed": _NO_JOB | {"cancelled", "refused"},
}
_CLAIMING = frozenset({"held", "firm"})
_RUNNING = frozenset({"incomplete", "planned", "assigned", "loaded"})


def reservations(evidence: Evidence) -> Iterator[Finding]:
    """An order's reservation is in the state that the order's state implies, for the order's goods."""
    found = {row["id"]: row for row in evidence.rows(INVENTORY, "reservation")}
    lines, goods = evidence.grouped(INVENTORY, "reservation_line", "reservation"), _goods(evidence)
    for order in evidence.rows(ORDERS, "orders"):
        state, id = order["state"], order["order_id"]
        row = found.get(order["reservation"])
        there = row["state"] if row else "unknown"
        if state in _RESERVATION and there not in _RESERVATION[state]:
            what = f"is {state}, its reservation {order['reservation']} is {there}"
            yield Finding("reservation", id, what, "inventory.reservation")
        elif row and there not in _GIVEN_UP:
            claimed: Counter[str] = Counter()
            for line in lines[row["id"]]:
                claimed[line["item"]] += line["quantity"]
            if claimed != goods[id]:
                what = f"is for {dict(goods[id])}, its reservation for {dict(claimed)}"
                yield Finding("reservation", id, what, "inventory.reservation_line")


def claims(evidence: Evidence) -> Iterator[Finding]:
    """Every claim on stock belongs to an order's current attempt, or to a campaign that is not settled."""
    current = {row["order_id"]: row["reservation"] for row in evidence.rows(ORDERS, "orders")}
    current |= {
        row["campaign_id"]: str(reservation_of(UUID(row["campaign_id"]), row["pool"], 1))
        for row in evidence.rows(ORDERS, "campaign")
        if not row["settled"]
    }
    for row in evidence.rows(INVENTORY, "reservation"):
        if row["state"] in _CLAIMING and current.get(row["order_id"]) != row["id"]:
            what = f"its reservation {row['id']} is {row['state']}, but no order or campaign needs it"
            yield Finding("reservation", row["order_id"], what, "inventory.reservation")


def jobs(evidence: Evidence) -> Iterator[Finding]:
    """A delivery's job is in the state that the order's state implies, in the same wave and for the same goods.

    An order that was being cancelled ignores its job's wave, so its own wave may be outdated.
    """
    found = {row["id"]: row for row in evidence.rows(DISPATCH, "job")}
    ending = {row["order_id"] for row in evidence.rows(ORDERS, "order_history") if row["to_state"] in _ENDING}
    goods = _goods(evidence)
    for order in evidence.rows(ORDERS, "orders"):
        state, id, row = order["state"], order["order_id"], found.get(order["job"])
        allowed = _JOB.get(state) if order["fulfilment"] == "delivery" else _NO_JOB
        there = row["state"] if row else "no job"
        if allowed and there not in allowed:
            yield Finding("job", id, f"is {state}, its job {order['job']}: {there}", "dispatch.job")
        elif row and there in _RUNNING | {"delivered", "returned"}:
            carried: Counter[str] = Counter()
            for line in json.loads(row["lines"]):
                carried[line["item"]] += line["quantity"]
            if carried != goods[id]:
                yield Finding("job", id, f"is for {dict(goods[id])}, its job for {dict(carried)}", "dispatch.job")
            if state != "reserved" and row["wave"] != order["wave"] and state in _JOB and id not in ending:
                yield Finding("job", id, f"is in wave {order['wave']}, its job in {row['wave']}", "dispatch.job")


def orphan_jobs(evidence: Evidence) -> Iterator[Finding]:
    """Every running job belongs to an order that still needs it."""
    current = {row["order_id"]: row["job"] for row in evidence.rows(ORDERS, "orders")}
    for row in evidence.rows(DISPATCH, "job"):
        if row["state"] in _RUNNING and current.get(row["order_id"]) != row["id"]:
            what = f"its job {row['id']} is {row['state']}, but no order needs it"
            yield Finding("job", row["order_id"], what, "dispatch.job")


def answers(evidence: Evidence) -> Iterator[Finding]:
    """Every command was answered: there is a later event about its reservation or its delivery."""
    for command_topic, answer_topic, field in (
        ("inventory.command.v1", "inventory.stock.v1", "reservation"),
        ("dispatch.command.v1", "dispatch.job.v1", "order"),
    ):
        known = {fact.data.get(field) for fact in evidence.facts.get(answer_topic, ())}
        known |= _incomplete(evidence) if field == "order" else frozenset()
        for fact in evidence.facts.get(command_topic, ()):
            if fact.data[field] not in known:
                yield Finding("answer", fact.data["order"], f"{fact.type} was never answered", fact.where)


def _incomplete(evidence: Evidence) -> frozenset[str]:
    """Return orders with a job that waits for a recipient or a catalogue entry: the answer follows then."""
    return frozenset(row["order_id"] for row in evidence.rows(DISPATCH, "job") if row["state"] == "incomplete")


def _goods(evidence: Evidence) -> Mapping[str, Counter[str]]:
    found: dict[str, Counter[str]] = {row["order_id"]: Counter() for row in evidence.rows(ORDERS, "orders")}
    for line in evidence.rows(ORDERS, "order_line"):
        found[line["order_id"]][line["item"]] += line["quantity"]
    return found
