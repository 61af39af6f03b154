"""Deliveries and handovers: orders, jobs, couriers and pickup points agree about them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping

from contracts.topics import DISPATCH, ORDERS
from deploy.audit.finding import Finding
from deploy.audit.invariants.facts import History, Outcome, Tables, Topics, Views
from deploy.audit.invariants.invariant import Moment, invariant
from deploy.audit.invariants.orders import TOPIC, states
from deploy.audit.invariants.reservations import goods_of

# The states of a job that an order's state implies once every message has arrived.
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
_RUNNING = frozenset({"incomplete", "planned", "assigned", "loaded"})
_ENDS = (("job-delivered", "delivered"), ("job-returned", "returned"), ("order-collected", "collected"))


@invariant(Moment.QUIET)
def agree(tables: Tables) -> Iterator[Finding]:
    """A delivery's job is in the state that the order's state implies, in the same wave and for the same goods.

    An order that was being cancelled ignores its job's wave, so its own wave may be outdated.
    """
    found = {row["id"]: row for row in tables.rows(DISPATCH, "job")}
    ending = {row["order_id"] for row in tables.rows(ORDERS, "order_history") if row["to_state"] in _ENDING}
    goods = goods_of(tables)
    for order in tables.rows(ORDERS, "orders"):
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


@invariant(Moment.QUIET)
def needed(tables: Tables) -> Iterator[Finding]:
    """Every running job belongs to an order that still needs it."""
    current = {row["order_id"]: row["job"] for row in tables.rows(ORDERS, "orders")}
    for row in tables.rows(DISPATCH, "job"):
        if row["state"] in _RUNNING and current.get(row["order_id"]) != row["id"]:
            what = f"its job {row['id']} is {row['state']}, but no order needs it"
            yield Finding("job", row["order_id"], what, "dispatch.job")


@invariant(Moment.QUIET)
def ended_alike(topics: Topics) -> Iterator[Finding]:
    """An order is delivered or returned by its courier exactly if its job is, and collected as it was published."""
    ends = {order: went[-1] for order, went in states(topics).items()}
    deliveries = {fact.subject for fact in topics.of("order-placed") if fact.data["fulfilment"] == "delivery"}
    for type, end in _ENDS:
        ended = {str(fact.data["order"]): fact.where for fact in topics.of(type)}
        there = {id for id, state in ends.items() if state == end and (end == "collected" or id in deliveries)}
        for order in ended.keys() - there:
            what = f"{type} was published, but it is {ends.get(order)}"
            yield Finding("orders and jobs differ", order, what, ended[order])
        for order in there - ended.keys():
            yield Finding("orders and jobs differ", order, f"is {end} without {type}", TOPIC)


@invariant(Moment.ENDED)
def reported(history: History, topics: Topics) -> Iterator[Finding]:
    """A delivery that a courier reported and dispatch took, and a handover at a pickup point, took effect."""
    delivered = {fact.subject for fact in topics.of("job-delivered")}
    for entry in history.of("courier", Outcome.OK):
        for _, kind, job in entry.operation.data["uploads"]:
            if kind == "deliver" and job not in delivered:
                yield Finding("lost delivery", job, "was reported, but no event was published", "dispatch.job.v1")
    ends = {order: went[-1] for order, went in states(topics).items()}
    for entry in history.of("collect", Outcome.OK):
        order = entry.operation.subject
        if ends.get(order) != "collected":
            yield Finding("lost handover", order, f"was handed over, but it is {ends.get(order)}", TOPIC)


@invariant(Moment.ENDED)
def shown(topics: Topics, views: Views) -> Iterator[Finding]:
    """The view of a job shows the end that was published."""
    for fact in topics.of("job-delivered", "job-returned"):
        view = views.jobs.get(fact.subject, {}).get("state")
        if view != fact.type.removeprefix("job-"):
            yield Finding("views differ", fact.subject, f"{fact.type} by its topic, {view} in the view", "/v1/jobs")
