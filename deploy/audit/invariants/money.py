"""Money: payments and refunds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from contracts.topics import ORDERS
from deploy.audit.finding import Finding
from deploy.audit.invariants.facts import History, Outcome, Tables, Topics, Views
from deploy.audit.invariants.invariant import Moment, invariant
from deploy.audit.invariants.orders import HANDED_OVER, TERMINAL, TOPIC, UNKEPT, states


@invariant(Moment.QUIET)
def refunds(topics: Topics, tables: Tables) -> Iterator[Finding]:
    """A refund returns one payment, once and in full, and is published; an order's totals are the sums of its rows."""
    paid = {(row["order_id"], row["payment_id"]): row["amount_fen"] for row in tables.rows(ORDERS, "payment")}
    back = {(row["order_id"], row["payment_id"]): row["amount_fen"] for row in tables.rows(ORDERS, "refund")}
    published: dict[tuple[str, str], list[int]] = defaultdict(list)
    for fact in topics.of("order-refunded"):
        published[fact.subject, fact.data["payment"]].append(fact.data["amount_fen"])
    for order, payment in sorted(back.keys() | published.keys()):
        key = (order, payment)
        amounts = {"paid": paid.get(key), "refunded": back.get(key), "published as refunded": published.get(key, [])}
        if published.get(key) != [back.get(key)] or back.get(key) != paid.get(key):
            words = ", ".join(f"{name} {amount}" for name, amount in amounts.items())
            yield Finding("money", order, f"payment {payment}: {words} fen", "orders.refund")
    for name, table in (("paid_fen", paid), ("refunded_fen", back)):
        totals: Counter[str] = Counter()
        for (order, _), amount in table.items():
            totals[order] += amount
        for row in tables.rows(ORDERS, "orders"):
            if row[name] != totals[row["order_id"]]:
                what = f"{name} is {row[name]}, its rows sum up to {totals[row['order_id']]}"
                yield Finding("money", row["order_id"], what, "orders.orders")


@invariant(Moment.ALWAYS)
def given_back(tables: Tables) -> Iterator[Finding]:
    """An order that ended otherwise than delivered or collected has refunded all payments."""
    for row in tables.rows(ORDERS, "orders"):
        if row["state"] in UNKEPT and row["paid_fen"] != row["refunded_fen"]:
            what = f"is {row['state']}; {row['paid_fen']} fen were paid, {row['refunded_fen']} refunded"
            yield Finding("money", row["order_id"], what, "orders.orders")


@invariant(Moment.ALWAYS)
def refunded_once(topics: Topics) -> Iterator[Finding]:
    """A payment is refunded once."""
    found = Counter((fact.subject, str(fact.data["payment"])) for fact in topics.of("order-refunded"))
    for (order, payment), times in found.items():
        if times > 1:
            yield Finding("duplicate refund", order, f"payment {payment} was refunded {times} times", TOPIC)


@invariant(Moment.QUIET)
def receipts(tables: Tables) -> Iterator[Finding]:
    """A receipt of a payment provider pays one order or join, or none; no more goes back of it than was received."""
    back: Counter[str] = Counter()
    orders: dict[str, set[str]] = defaultdict(set)  # a join stands for the order that it became
    joined = {row["order_id"]: row["join_id"] for row in tables.rows(ORDERS, "orders") if row["join_id"]}
    for row in tables.rows(ORDERS, "payment"):
        orders[row["payment_id"]].add(joined.get(row["order_id"]) or row["order_id"])
    for row in tables.rows(ORDERS, "refund"):
        back[row["payment_id"]] += row["amount_fen"]
    for row in tables.rows(ORDERS, "campaign_join"):
        if row["receipt"]:
            orders[row["receipt"]].add(row["join_id"])
            back[row["receipt"]] += row["refunded_fen"]
    for row in tables.rows(ORDERS, "receipt"):
        payment = f"{row['provider']}:{row['transaction_id']}"
        if row["pays"] and orders[payment] != {row["pays"]}:
            what = f"pays {row['pays']}, and is a payment of {', '.join(sorted(orders[payment])) or 'no order'}"
            yield Finding("money", payment, what, "orders.receipt")
        if back[payment] > row["amount_fen"]:
            what = f"{back[payment]} fen were given back of {row['amount_fen']} received"
            yield Finding("money", payment, what, "orders.receipt")


@invariant(Moment.ENDED)
def exact(history: History, topics: Topics) -> Iterator[Finding]:
    """Each payment of an order that was not kept is refunded. A kept order keeps exactly one payment; none if it was on
    account and the money arrived after its end.
    """
    paid, uncertain = payments(history, topics)
    on_account = {fact.subject for fact in topics.of("order-placed") if fact.data["payment"] == "on_account"}
    back: dict[str, set[str]] = defaultdict(set)
    for fact in topics.of("order-refunded"):
        back[fact.subject].add(str(fact.data["payment"]))
    ends = {order: went[-1] for order, went in states(topics).items()}
    for order, refunded in back.items():
        for payment in refunded - paid[order] - uncertain[order]:
            yield Finding("refund of nothing", order, f"payment {payment} was never made", TOPIC)
    for order, state in ends.items():
        kept = paid[order] - back[order]
        if state in HANDED_OVER and not (kept or uncertain[order] - back[order] or order in on_account):
            yield Finding("kept order refunded", order, f"no payment is left of {sorted(paid[order])}", TOPIC)
        if state in TERMINAL and len(kept) > (state in HANDED_OVER):
            yield Finding("missing refund", order, f"is {state}, but {sorted(kept)} was not refunded", TOPIC)


@invariant(Moment.ENDED)
def shown(history: History, topics: Topics, views: Views) -> Iterator[Finding]:
    """An order's view shows what was paid and refunded; each payment is of the whole order."""
    paid, _ = payments(history, topics)
    back = Counter(fact.subject for fact in topics.of("order-refunded"))
    for order, row in views.orders.items():
        if "total_fen" in row and row["refunded_fen"] != back[order] * row["total_fen"]:
            what = f"{back[order]} refunds on the topic, {row['refunded_fen']} fen in the view"
            yield Finding("views differ", order, what, "/v1/orders")
        if "total_fen" in row and row["paid_fen"] < len(paid[order]) * row["total_fen"]:
            what = f"{len(paid[order])} payments were accepted, {row['paid_fen']} fen are in the view"
            yield Finding("lost payment", order, what, "/v1/orders")


def payments(history: History, topics: Topics) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Return by order the payments that were accepted, and those with an unknown outcome."""
    paid: dict[str, set[str]] = defaultdict(set)
    uncertain: dict[str, set[str]] = defaultdict(set)
    for fact in topics.of("order-placed"):
        if fact.data["payment"] == "prepaid":
            paid[fact.subject].add("prepaid")
    for entry in history.of("pay", Outcome.OK, Outcome.UNKNOWN):
        sure = paid if entry.outcome is Outcome.OK else uncertain
        sure[entry.operation.subject].add(entry.operation.data["payment"])
    return paid, uncertain
