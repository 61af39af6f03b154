"""Lots: to the gram, the incoming quantity equals the outgoing quantity plus the goods on hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from contracts.topics import INVENTORY
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.evidence.stock_log import TOPIC
from deploy.audit.finding import Finding

_LOT_TOPIC = "inventory.lot.v1"


def balance(evidence: Evidence) -> Iterator[Finding]:
    """A lot's weigh-in, rejects, outgoing movements and goods on hand add up, in the topics and in the tables."""
    received: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    released: Counter[str] = Counter()
    for fact in evidence.facts.get(_LOT_TOPIC, ()):
        by_type = {"lot-received": received, "lot-rejected": rejected, "lot-released": released}
        if fact.type in by_type:
            by_type[fact.type][fact.subject] += fact.data["quantity"]
    entered, left = _moved(evidence)
    for row in evidence.rows(INVENTORY, "lot"):
        lot = row["id"]
        published = {"received": received[lot], "rejected": rejected[lot], "released": released[lot]}
        for column, quantity in published.items():
            if row[column] != quantity:
                yield Finding(
                    "lot", lot, f"{column} is {row[column]} in the table, {quantity} by its topic", _LOT_TOPIC
                )
        if entered[lot] != released[lot]:
            what = f"{released[lot]} were released, {entered[lot]} moved into the pool"
            yield Finding("lot", lot, what, TOPIC)
        if row["on_hand"] != entered[lot] - left[lot]:
            what = f"in {entered[lot]} is not out {left[lot]} + on hand {row['on_hand']}"
            yield Finding("lot", lot, what, TOPIC)
    rows = {row["id"] for row in evidence.rows(INVENTORY, "lot")}
    for lot in sorted(received.keys() - rows):
        yield Finding("lot", lot, "was published but has no row", _LOT_TOPIC)


def unattributed(evidence: Evidence) -> Iterator[Finding]:
    """An item's goods on hand are those of its lots plus the movements without a lot."""
    in_lots: Counter[tuple[str, str]] = Counter()
    for row in evidence.rows(INVENTORY, "lot"):
        in_lots[row["pool"], row["item"]] += row["on_hand"]
    for move in evidence.rows(INVENTORY, "movement"):
        if move["lot"] is None:
            sign = (move["target"] == "on_hand") - (move["source"] == "on_hand")
            in_lots[move["pool"], move["item"]] += sign * move["quantity"]
    for row in evidence.rows(INVENTORY, "stock"):
        if (total := in_lots[row["pool"], row["item"]]) != row["on_hand"]:
            what = f"on hand is {row['on_hand']}, its lots sum up to {total}"
            yield Finding("lot", f"{row['pool']}/{row['item']}", what, "inventory.lot")


def _moved(evidence: Evidence) -> tuple[Counter[str], Counter[str]]:
    """Return by lot the quantity that entered the pool from intake, and the quantity that left it, less returns."""
    entered: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for fact in evidence.facts.get(TOPIC, ()):
        if fact.type != "stock-moved":
            continue
        lot, quantity = fact.data["lot"], fact.data["quantity"]
        if fact.data["from_place"] == "intake":
            entered[lot] += quantity
        else:
            left[lot] += quantity if fact.data["from_place"] == "on_hand" else -quantity
    return entered, left
