"""Orders: none lost, none invented, each ended once, with its money and its delivery."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from tests.faults.evidence import Evidence, Finding, by
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
    """The states that each order went through by its topic, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for record in e.facts:
        if record.topic == "orders.order.v1" and record.type in STATES:
            found[record.subject].append(STATES[record.type])
    return found


def none_lost(e: Evidence) -> Iterator[Finding]:
    """What was accepted exists, what was refused does not; where nobody knows, all views agree."""
    asked: dict[str, list[HistoryEntry]] = defaultdict(list)
    for entry in e.entries_of("place"):
        asked[entry.operation.subject].append(entry)
    placed, shown = {record.subject for record in e.of("order-placed")}, set(e.views.orders)
    for order, entries in asked.items():
        outcomes = {entry.outcome for entry in entries}
        where = f"on the topic: {order in placed}, in the view: {order in shown}"
        if Outcome.OK in outcomes and not (order in placed and order in shown):
            yield Finding("lost order", order, f"accepted; {where}")
        elif outcomes == {Outcome.FAIL} and (order in placed or order in shown):
            yield Finding("refused order exists", order, where)
        elif (order in placed) != (order in shown):
            yield Finding("views differ", order, where)
    for order in (placed | shown) - set(asked):
        yield Finding("order that nobody placed", order, "no client asked for it")


def as_asked(e: Evidence) -> Iterator[Finding]:
    """An order is what its client asked for, and every repeat of the request got the same answer."""
    placed = {record.subject: record.data for record in e.of("order-placed")}
    answers: dict[str, str] = {}
    for entry in e.entries_of("place"):
        order, asked = entry.operation.subject, entry.operation.data
        data = placed.get(order)
        if entry.outcome is not Outcome.OK or data is None:
            continue
        lines = [[line["item"], line["quantity"]] for line in data["lines"]]
        if (lines, data["payment"], data["fulfilment"]) != (asked["lines"], asked["payment"], asked["fulfilment"]):
            yield Finding("other content", order, f"asked {dict(asked)}, placed {lines}")
        if answers.setdefault(order, entry.answer["hash"]) != entry.answer["hash"]:
            yield Finding("answers differ", order, "a repeat got another answer")
    for entry in e.entries_of("altered"):
        if entry.outcome is Outcome.OK:
            yield Finding("altered repeat accepted", entry.operation.subject, "another content under the same id")


def all_ended(e: Evidence) -> Iterator[Finding]:
    """Every order ended, once; only an expired one may go on, once. Its view says the same."""
    for order, went in states(e).items():
        ends = [state for state in went if state in ENDS]
        if not ends or went[-1] not in ENDS:
            yield Finding("not ended", order, f"is {went[-1]}")
        elif len(ends) > 1 and (len(ends) > 2 or ends[0] != "expired"):
            yield Finding("ended twice", order, ", ".join(ends))
        shown = e.views.orders.get(order)
        if shown is not None and shown["state"] != went[-1]:
            yield Finding("views differ", order, f"topic: {went[-1]}, view: {shown['state']}")


def one_effect(e: Evidence) -> Iterator[Finding]:
    """One reservation for each attempt, one load and one end for each job, one handover for each order."""
    attempts = Counter(record.subject for record in e.of("order-placed", "order-reopened"))
    for order, reserved in by("order", e.of("stock-reserved")).items():
        if len(reserved) > attempts[order]:
            yield Finding("doubled reservation", order, f"{len(reserved)} in {attempts[order]} attempts")
    for what, facts in (
        ("reservation", by("reservation", e.of("stock-reserved"))),
        ("order-reserved", by("reservation", e.of("order-reserved"))),
        ("load", by("job", e.of("job-loaded"))),
        ("job end", by("job", e.of("job-delivered", "job-returned"))),
        ("handover", by("order", e.of("job-delivered", "order-collected"))),
    ):
        yield from (Finding(f"doubled {what}", id, _types(found)) for id, found in facts.items() if len(found) > 1)


def deliveries_agree(e: Evidence) -> Iterator[Finding]:
    """Orders and jobs tell one story, and so does what couriers and pickup points were told."""
    ends = {order: went[-1] for order, went in states(e).items()}
    for type, end in (("job-delivered", "delivered"), ("order-collected", "collected"), ("job-returned", "returned")):
        handed = {str(record.data["order"]) for record in e.of(type)}
        said = {order for order, state in ends.items() if state == end}
        yield from (Finding("stories differ", order, f"{type}, but the order is {ends.get(order)}")
                    for order in handed - said)  # fmt: skip
        yield from (Finding("stories differ", order, f"{end} without {type}") for order in said - handed)
    states_of_jobs = {record.subject: record.type for record in e.of("job-planned", "job-delivered", "job-returned")}
    for job, type in states_of_jobs.items():
        shown = e.views.jobs.get(job, {}).get("state")
        if type != "job-planned" and shown != type.removeprefix("job-"):
            yield Finding("views differ", job, f"topic: {type}, view: {shown}")
    delivered = {record.subject for record in e.of("job-delivered")}
    for entry in e.entries_of("courier"):
        if entry.outcome is Outcome.OK:
            told = {job for _, kind, job in entry.operation.data["uploads"] if kind == "deliver"}
            yield from (Finding("lost delivery", job, "reported, but no event") for job in told - delivered)
    for entry in e.entries_of("collect"):
        if entry.outcome is Outcome.OK and ends.get(entry.operation.subject) != "collected":
            yield Finding(
                "lost handover", entry.operation.subject, f"collected, but it is {ends.get(entry.operation.subject)}"
            )


def money(e: Evidence) -> Iterator[Finding]:
    """Each payment of an order that was not kept is refunded once. A kept one keeps one payment, no more; none where
    it was on account and the money came after its end.
    """
    paid, maybe = _payments(e)
    on_account = {record.subject for record in e.of("order-placed") if record.data["payment"] == "on_account"}
    refunds = by("order", e.of("order-refunded"))
    for order, went in states(e).items():
        back = Counter(str(record.data["payment"]) for record in refunds.pop(order, []))
        yield from (Finding("doubled refund", order, f"{id}, {n} times") for id, n in back.items() if n > 1)
        yield from (Finding("refund of nothing", order, id) for id in set(back) - paid[order] - maybe[order])
        kept = paid[order] - set(back)
        if went[-1] in KEPT and not (kept or maybe[order] - set(back) or order in on_account):
            yield Finding("kept order refunded", order, f"nothing is left of {sorted(paid[order])}")
        if went[-1] in ENDS and len(kept) > (went[-1] in KEPT):
            yield Finding("missing refund", order, f"{went[-1]}, but {sorted(kept)} stayed")
        yield from _told(e, order, sum(back.values()), len(paid[order]))
    yield from (Finding("refund of nothing", order, "no such order") for order in refunds)


def _payments(e: Evidence) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """By order the payments that were taken, and those of which nobody knows."""
    paid: dict[str, set[str]] = defaultdict(set)
    maybe: dict[str, set[str]] = defaultdict(set)
    for record in e.of("order-placed"):
        if record.data["payment"] == "prepaid":
            paid[record.subject].add("prepaid")
    for entry in e.entries_of("pay"):
        sure = {Outcome.OK: paid, Outcome.UNKNOWN: maybe}.get(entry.outcome)
        if sure is not None:
            sure[entry.operation.subject].add(entry.operation.data["payment"])
    return paid, maybe


def _told(e: Evidence, order: str, refunds: int, payments: int) -> Iterator[Finding]:
    shown = e.views.orders.get(order)
    if shown is None:
        return
    if shown["refunded_fen"] != refunds * shown["total_fen"]:
        yield Finding("views differ", order, f"{refunds} refunds on the topic, {shown['refunded_fen']} fen in the view")
    if shown["paid_fen"] < payments * shown["total_fen"]:
        yield Finding("lost payment", order, f"{payments} payments taken, {shown['paid_fen']} fen in the view")


def _types(found: Iterable[ObservedRecord]) -> str:
    return ", ".join(record.type for record in found)


CHECKS = (none_lost, as_asked, all_ended, one_effect, deliveries_agree, money)
