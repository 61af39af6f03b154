"""Money: payments and refunds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from contracts.topics import ORDERS
from deploy.audit.checks.orders import TOPIC, UNKEPT
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.finding import Finding


def refunds(evidence: Evidence) -> Iterator[Finding]:
    """A refund returns one payment, once and in full, and is published; an order's totals are the sums of its rows."""
    paid = {(row["order_id"], row["payment_id"]): row["amount_fen"] for row in evidence.rows(ORDERS, "payment")}
    back = {(row["order_id"], row["payment_id"]): row["amount_fen"] for row in evidence.rows(ORDERS, "refund")}
    published: dict[tuple[str, str], list[int]] = defaultdict(list)
    for fact in evidence.facts.get(TOPIC, ()):
        if fact.type == "order-refunded":
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
        for row in evidence.rows(ORDERS, "orders"):
            if row[name] != totals[row["order_id"]]:
                what = f"{name} is {row[name]}, its rows sum up to {totals[row['order_id']]}"
                yield Finding("money", row["order_id"], what, "orders.orders")


def given_back(evidence: Evidence) -> Iterator[Finding]:
    """An order that ended otherwise than delivered or collected has refunded all payments."""
    for row in evidence.rows(ORDERS, "orders"):
        if row["state"] in UNKEPT and row["paid_fen"] != row["refunded_fen"]:
            what = f"is {row['state']}; {row['paid_fen']} fen were paid, {row['refunded_fen']} refunded"
            yield Finding("money", row["order_id"], what, "orders.orders")
