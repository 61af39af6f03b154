"""Invariants of orders: none lost, none invented, each ended once, with exact money and delivery."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from tests.faults.evidence import Evidence, Finding, group_by
from tests.faults.history import HistoryEntry, Outcome
from tests.faults.observer import ObservedRecord

STATES = {
    "order-placed": "placed", "order-held": "held", "order-reserved": "reserved", "order-scheduled": "scheduled",
    "order-ready": "ready", "order-loaded": "loaded", "order-delivered": "delivered", "order-collected": "collected",
    "order-returned": "returned", "order-rejected": "rejected", "order-expired": "expired", "order-reopened": "placed",
    "order-cancelled": "cancelled", "order-failed": "failed",
}  # fmt: skip
KEPT = {"delivered", "collected"}
ENDS = KEPT | {"returned", "rejected", "expired", "cancelled", "failed"}


def states(e: Evidence) -> dict[str, list[str]]:
    """Return the states that each order went through, in topic order."""
    found: dict[str, list[str]] = defaultdict(list)
    for record in e.facts:
        if record.topic == "orders.order.v1" and record.type in STATES:
            found[record.subject].append(STATES[record.type])
    return found


def no_order_lost(e: Evidence) -> Iterator[Finding]:
    """An accepted order exists, a refused one does not; with an unknown outcome all views agree."""
    requested: dict[str, list[HistoryEntry]] = defaultdict(list)
    for entry in e.entries_of("place"):
        requested[entry.operation.subject].append(entry)
    placed, shown = {record.subject for record in e.of("order-placed")}, set(e.views.orders)
    for order, entries in requested.items():
        outcomes = {entry.outcome for entry in entries}
        where = f"on the topic: {order in placed}, in the view: {order in shown}"
        if Outcome.OK in outcomes and not (order in placed and order in shown):
            yield Finding("lost order", order, f"accepted; {where}")
        elif outcomes == {Outcome.FAIL} and (order in placed or order in shown):
            yield Finding("refused order exists", order, where)
        elif (order in placed) != (order in shown):
            yield Finding("views differ", order, where)
    for order in (placed | shown) - set(requested):
        yield Finding("unknown order", order, "no client requested it")


def matches_request(e: Evidence) -> Iterator[Finding]:
    """An order equals its request, and every repeat of the request got the same answer."""
    placed = {record.subject: record.data for record in e.of("order-placed")}
    answers: dict[str, str] = {}
    for entry in e.entries_of("place"):
        order, requested = entry.operation.subject, entry.operation.data
        data = placed.get(order)
        if entry.outcome is not Outcome.OK or data is None:
            continue
        lines = [[line["item"], line["quantity"]] for line in data["lines"]]
        if (lines, data["payment"], data["fulfilment"]) != (
            requested["lines"],
            requested["payment"],
            requested["fulfilment"],
        ):
            yield Finding("other content", order, f"requested {dict(requested)}, placed {lines}")
        if answers.setdefault(order, entry.answer["hash"]) != entry.answer["hash"]:
            yield Finding("answers differ", order, "a repeat got another answer")
    for entry in e.entries_of("altered"):
        if entry.outcome is Outcome.OK:
            yield Finding("altered repeat accepted", entry.operation.subject, "another content under the same id")


def all_ended(e: Evidence) -> Iterator[Finding]:
    """Every order ends once; only an expired one may continue, once. Its view shows the same state."""
    for order, history in states(e).items():
        ends = [state for state in history if state in ENDS]
        if not ends or history[-1] not in ENDS:
            yield Finding("not ended", order, f"is {history[-1]}")
        elif len(ends) > 1 and (len(ends) > 2 or ends[0] != "expired"):
            yield Finding("ended twice", order, ", ".join(ends))
        shown = e.views.orders.get(order)
        if shown is not None and shown["state"] != history[-1]:
            yield Finding("views differ", order, f"topic: {history[-1]}, view: {shown['state']}")


def one_effect(e: Evidence) -> Iterator[Finding]:
    """One reservation per attempt, one load and one end per job, one handover per order."""
    attempts = Counter(record.subject for record in e.of("order-placed", "order-reopened"))
    for order, reserved in group_by("order", e.of("stock-reserved")).items():
        if len(reserved) > attempts[order]:
            yield Finding("duplicate reservation", order, f"{len(reserved)} in {attempts[order]} attempts")
    for what, facts in (
        ("reservation", group_by("reservation", e.of("stock-reserved"))),
        ("order-reserved", group_by("reservation", e.of("order-reserved"))),
        ("load", group_by("job", e.of("job-loaded"))),
        ("job end", group_by("job", e.of("job-delivered", "job-returned"))),
        ("handover", group_by("order", e.of("job-delivered", "order-collected"))),
    ):
        yield from (Finding(f"duplicate {what}", id, _types(found)) for id, found in facts.items() if len(found) > 1)


def deliveries_agree(e: Evidence) -> Iterator[Finding]:
    """Orders and jobs agree with each other and with the answers that couriers and pickup points got."""
    ends = {order: history[-1] for order, history in states(e).items()}
    for type, end in (("job-delivered", "delivered"), ("order-collected", "collected"), ("job-returned", "returned")):
        handed = {str(record.data["order"]) for record in e.of(type)}
        in_state = {order for order, state in ends.items() if state == end}
        yield from (Finding("orders and jobs differ", order, f"{type}, but the order is {ends.get(order)}")
                    for order in handed - in_state)  # fmt: skip
        yield from (Finding("orders and jobs differ", order, f"{end} without {type}") for order in in_state - handed)
    states_of_jobs = {record.subject: record.type for record in e.of("job-planned", "job-delivered", "job-returned")}
    for job, type in states_of_jobs.items():
        shown = e.views.jobs.get(job, {}).get("state")
        if type != "job-planned" and shown != type.removeprefix("job-"):
            yield Finding("views differ", job, f"topic: {type}, view: {shown}")
    delivered = {record.subject for record in e.of("job-delivered")}
    for entry in e.entries_of("courier"):
        if entry.outcome is Outcome.OK:
            reported = {job for _, kind, job in entry.operation.data["uploads"] if kind == "deliver"}
            yield from (Finding("lost delivery", job, "reported, but no event") for job in reported - delivered)
    for entry in e.entries_of("collect"):
        if entry.outcome is Outcome.OK and ends.get(entry.operation.subject) != "collected":
            yield Finding(
                "lost handover", entry.operation.subject, f"collected, but it is {ends.get(entry.operation.subject)}"
            )


def refunds_are_exact(e: Evidence) -> Iterator[Finding]:
    """Each payment of an order that was not kept is refunded once. A kept order keeps exactly one payment; none if it
    was on account and the money arrived after its end.
    """
    paid, uncertain = _payments(e)
    on_account = {record.subject for record in e.of("order-placed") if record.data["payment"] == "on_account"}
    refunds = group_by("order", e.of("order-refunded"))
    for order, history in states(e).items():
        refunded = Counter(str(record.data["payment"]) for record in refunds.pop(order, []))
        yield from (Finding("duplicate refund", order, f"{id}, {n} times") for id, n in refunded.items() if n > 1)
        yield from (Finding("refund of nothing", order, id) for id in set(refunded) - paid[order] - uncertain[order])
        kept = paid[order] - set(refunded)
        if history[-1] in KEPT and not (kept or uncertain[order] - set(refunded) or order in on_account):
            yield Finding("kept order refunded", order, f"no payment is left of {sorted(paid[order])}")
        if history[-1] in ENDS and len(kept) > (history[-1] in KEPT):
            yield Finding("missing refund", order, f"{history[-1]}, but {sorted(kept)} was not refunded")
        yield from _money_in_view(e, order, sum(refunded.values()), len(paid[order]))
    yield from (Finding("refund of nothing", order, "no such order") for order in refunds)


def _payments(e: Evidence) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Return by order the payments that were accepted, and those with an unknown outcome."""
    paid: dict[str, set[str]] = defaultdict(set)
    uncertain: dict[str, set[str]] = defaultdict(set)
    for record in e.of("order-placed"):
        if record.data["payment"] == "prepaid":
            paid[record.subject].add("prepaid")
    for entry in e.entries_of("pay"):
        sure = {Outcome.OK: paid, Outcome.UNKNOWN: uncertain}.get(entry.outcome)
        if sure is not None:
            sure[entry.operation.subject].add(entry.operation.data["payment"])
    return paid, uncertain


def _money_in_view(e: Evidence, order: str, refunds: int, payments: int) -> Iterator[Finding]:
    shown = e.views.orders.get(order)
    if shown is None:
        return
    if shown["refunded_fen"] != refunds * shown["total_fen"]:
        yield Finding("views differ", order, f"{refunds} refunds on the topic, {shown['refunded_fen']} fen in the view")
    if shown["paid_fen"] < payments * shown["total_fen"]:
        yield Finding("lost payment", order, f"{payments} payments taken, {shown['paid_fen']} fen in the view")


def _types(found: Iterable[ObservedRecord]) -> str:
    return ", ".join(record.type for record in found)


CHECKS = (no_order_lost, matches_request, all_ended, one_effect, deliveries_agree, refunds_are_exact)
