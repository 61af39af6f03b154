"""Group-buys: each pledge is counted once, and ended as an order, as a refund, or as both in parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from contracts.topics import ORDERS
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.evidence.tables import Row
from deploy.audit.finding import Finding

TOPIC = "orders.campaign.v1"
_STATE = {f"campaign-{name}": state for name, state in (("opened", "open"), ("cut", "cut"))} | {
    f"campaign-{state}": state for state in ("formed", "failed")
}


def lives(evidence: Evidence) -> Iterator[Finding]:
    """A campaign is in the state that its topic says; a settled one has no pledge left."""
    published = {f.subject: _STATE[f.type] for f in evidence.facts.get(TOPIC, ()) if f.type in _STATE}
    joins = evidence.grouped(ORDERS, "campaign_join", "campaign_id")
    rows = {row["campaign_id"]: row for row in evidence.rows(ORDERS, "campaign")}
    for campaign in sorted(rows.keys() | published.keys()):
        kept = rows[campaign]["state"] if campaign in rows else None
        if kept != published.get(campaign):
            yield Finding(
                "campaign", campaign, f"is {kept} in the table, {published.get(campaign)} by its topic", TOPIC
            )
        left = sum(join["state"] == "pledged" for join in joins[campaign])
        if kept in {"formed", "failed"} and rows[campaign]["unsettled"] != left:
            what = f"has {left} pledges left, {rows[campaign]['unsettled']} by its row"
            yield Finding("campaign", campaign, what, "orders.campaign_join")


def pledges(evidence: Evidence) -> Iterator[Finding]:
    """Topic and table have the same accepted joins; each ended once, with all its money accounted for."""
    facts = evidence.facts.get(TOPIC, ())
    published = {fact.data["join"]: fact.data["total_fen"] for fact in facts if fact.type == "join-accepted"}
    back: dict[str, list[int]] = defaultdict(list)
    for fact in facts:
        if fact.type == "join-refunded":
            back[fact.data["join"]].append(fact.data["amount_fen"])
    orders = evidence.grouped(ORDERS, "orders", "join_id")
    rows = {row["join_id"]: row for row in evidence.rows(ORDERS, "campaign_join")}
    for join in sorted(rows.keys() | published.keys()):
        kept = rows[join]["total_fen"] if join in rows else None
        if kept != published.get(join):
            yield Finding("join", join, f"pledges {kept} fen in the table, {published.get(join)} by its topic", TOPIC)
        else:
            yield from _ended(rows[join], back[join], orders[join])


def _ended(join: Row, back: Sequence[int], orders: Sequence[Row]) -> Iterator[Finding]:
    state, id, where = join["state"], join["join_id"], "orders.campaign_join"
    if len(orders) != (state == "ordered"):
        yield Finding("join", id, f"is {state} and became {len(orders)} orders", "orders.orders")
    if len(back) > 1 or sum(back) != join["refunded_fen"]:
        yield Finding("join", id, f"{join['refunded_fen']} fen were refunded, {list(back)} by its topic", TOPIC)
    elif state in {"withdrawn", "refunded"} and not back:
        yield Finding("join", id, f"is {state}, without an event", TOPIC)
    spent = join["refunded_fen"] + sum(order["total_fen"] for order in orders)
    if join["payment"] == "prepaid" and state != "pledged" and spent != join["total_fen"]:
        yield Finding("join", id, f"{join['total_fen']} fen were paid, orders and refunds amount to {spent}", where)


def settled(evidence: Evidence) -> Iterator[Finding]:
    """Every campaign is settled and its stock released. Checked only when a day is over."""
    for row in evidence.rows(ORDERS, "campaign"):
        if not row["settled"]:
            yield Finding("end", row["campaign_id"], f"the campaign is {row['state']}, not settled", "orders.campaign")
