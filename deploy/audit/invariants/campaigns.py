"""Group-buys: pledges stay within the caps, each is counted once, and ended as an order, as a refund, or as both."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from contracts.topics import ORDERS
from deploy.audit.finding import Finding
from deploy.audit.invariants.facts import History, Outcome, Row, Tables, Topics
from deploy.audit.invariants.invariant import Moment, invariant

TOPIC = "orders.campaign.v1"
_STATES = {"campaign-opened": "open", "campaign-cut": "cut", "campaign-formed": "formed", "campaign-failed": "failed"}
_ENDED = frozenset({"ordered", "refunded", "withdrawn"})


@invariant(Moment.QUIET)
def lives(topics: Topics, tables: Tables) -> Iterator[Finding]:
    """A campaign is in the state that its topic says; a settled one has no pledge left."""
    published = {fact.subject: _STATES[fact.type] for fact in topics[TOPIC] if fact.type in _STATES}
    joins = tables.grouped(ORDERS, "campaign_join", "campaign_id")
    rows = {row["campaign_id"]: row for row in tables.rows(ORDERS, "campaign")}
    for campaign in sorted(rows.keys() | published.keys()):
        kept = rows[campaign]["state"] if campaign in rows else None
        if kept != published.get(campaign):
            what = f"is {kept} in the table, {published.get(campaign)} by its topic"
            yield Finding("campaign", campaign, what, TOPIC)
        left = sum(join["state"] == "pledged" for join in joins[campaign])
        if kept in {"formed", "failed"} and rows[campaign]["unsettled"] != left:
            what = f"has {left} pledges left, {rows[campaign]['unsettled']} by its row"
            yield Finding("campaign", campaign, what, "orders.campaign_join")


@invariant(Moment.QUIET)
def pledges(topics: Topics, tables: Tables) -> Iterator[Finding]:
    """Topic and table have the same accepted joins; each ended once, with all its money accounted for."""
    published = {fact.data["join"]: fact.data["total_fen"] for fact in topics.of("join-accepted")}
    back: dict[str, list[int]] = defaultdict(list)
    for fact in topics.of("join-refunded"):
        back[fact.data["join"]].append(fact.data["amount_fen"])
    orders = tables.grouped(ORDERS, "orders", "join_id")
    rows = {row["join_id"]: row for row in tables.rows(ORDERS, "campaign_join")}
    for join in sorted(rows.keys() | published.keys()):
        kept = rows[join]["total_fen"] if join in rows else None
        if kept != published.get(join):
            yield Finding("join", join, f"pledges {kept} fen in the table, {published.get(join)} by its topic", TOPIC)
        else:
            yield from _end(rows[join], back[join], orders[join])


def _end(join: Row, back: Sequence[int], orders: Sequence[Row]) -> Iterator[Finding]:
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


@invariant(Moment.ALWAYS)
def within_caps(topics: Topics) -> Iterator[Finding]:
    """The pledges of a campaign's active joins never exceed the cap of an item."""
    caps: dict[str, dict[str, int]] = {}
    pledged: dict[str, Counter[str]] = defaultdict(Counter)
    joins: dict[str, Counter[str]] = {}
    cut: set[str] = set()
    for fact in topics[TOPIC]:
        campaign = fact.subject
        if fact.type == "campaign-opened":
            caps[campaign] = {good["item"]: good["cap"] for good in fact.data["goods"]}
        elif fact.type == "campaign-cut":
            cut.add(campaign)
        elif fact.type == "join-accepted":
            joins[fact.data["join"]] = quantities = _quantities(fact.data["lines"])
            pledged[campaign].update(quantities)
            for item in quantities:
                if (total := pledged[campaign][item]) > (cap := caps.get(campaign, {}).get(item, 0)):
                    yield Finding("campaign", campaign, f"{total} {item} are pledged, above its cap {cap}", fact.where)
        elif fact.type == "join-refunded" and campaign not in cut:
            pledged[campaign].subtract(joins.get(fact.data["join"], Counter()))


@invariant(Moment.QUIET)
def counted(topics: Topics, tables: Tables) -> Iterator[Finding]:
    """Joins are numbered without gaps, and a campaign's tally is the sum of its active joins."""
    joins = tables.grouped(ORDERS, "campaign_join", "campaign_id")
    numbers: dict[str, list[int]] = defaultdict(list)
    for fact in topics.of("join-accepted"):
        numbers[fact.subject].append(fact.data["n"])
    for tally in tables.rows(ORDERS, "campaign_tally"):
        campaign, where = tally["campaign_id"], "orders.campaign_tally"
        if sorted(numbers[campaign]) != list(range(1, tally["joined"] + 1)):
            what = f"has joins {sorted(numbers[campaign])} by its topic, {tally['joined']} by its tally"
            yield Finding("campaign", campaign, what, where)
        active = [join for join in joins[campaign] if join["state"] != "withdrawn"]
        pledged: Counter[str] = Counter()
        for join in active:
            pledged.update(_quantities(json.loads(join["lines"])))
        kept = {item: quantity for item, quantity in json.loads(tally["pledged"]).items() if quantity}
        if (tally["standing"], kept) != (len(active), dict(pledged)):
            what = f"{len(active)} active joins pledge {dict(pledged)}, {tally['standing']} and {kept} by its tally"
            yield Finding("campaign", campaign, what, where)


@invariant(Moment.QUIET)
def shares(tables: Tables) -> Iterator[Finding]:
    """No join is granted more than it pledged, and its order has exactly its shares."""
    orders = {row["join_id"]: row["order_id"] for row in tables.rows(ORDERS, "orders") if row["join_id"]}
    lines = tables.grouped(ORDERS, "order_line", "order_id")
    for join in tables.rows(ORDERS, "campaign_join"):
        pledged, id = json.loads(join["lines"]), join["join_id"]
        granted = json.loads(join["granted"]) if join["granted"] else [0] * len(pledged)
        over = [one["item"] for one, share in zip(pledged, granted, strict=True) if not 0 <= share <= one["quantity"]]
        if over:
            yield Finding("join", id, f"is granted other than 0 to the pledged {over}", "orders.campaign_join")
        got = {line["line"]: line["quantity"] for line in lines[orders[id]]} if id in orders else {}
        due = {one["line"]: share for one, share in zip(pledged, granted, strict=True) if share}
        if id in orders and got != due:
            yield Finding("join", id, f"has shares {due}, its order lines {got}", "orders.order_line")


@invariant(Moment.QUIET)
def not_lost(history: History, topics: Topics) -> Iterator[Finding]:
    """A join that was accepted was published."""
    published = {fact.data["join"] for fact in topics.of("join-accepted")}
    for entry in history.of("join", Outcome.OK):
        if entry.operation.subject not in published:
            yield Finding("lost join", entry.operation.subject, "was accepted but never published", TOPIC)


@invariant(Moment.ENDED)
def settled(tables: Tables) -> Iterator[Finding]:
    """Every campaign is settled, its stock is released, and every join has ended."""
    for row in tables.rows(ORDERS, "campaign"):
        if not row["settled"]:
            yield Finding("end", row["campaign_id"], f"the campaign is {row['state']}, not settled", "orders.campaign")
    for row in tables.rows(ORDERS, "campaign_join"):
        if row["state"] not in _ENDED:
            yield Finding("end", row["join_id"], f"the join is {row['state']}", "orders.campaign_join")


def _quantities(lines: Sequence[Mapping[str, Any]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in lines:
        found[line["item"]] += line["quantity"]
    return found
