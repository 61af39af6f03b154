"""Lots: to the gram, what came in is what went out and what is still there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from contracts.topics import INVENTORY
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.evidence.stock_log import TOPIC
from deploy.audit.finding import Finding

_LOT_TOPIC = "inventory.lot.v1"


def balance(evidence: Evidence) -> Iterator[Finding]:
    """A lot's weigh-in, its rejects, its movements out and what is on hand add up, in the topics and in the tables."""
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
        told = {"received": received[lot], "rejected": rejected[lot], "released": released[lot]}
        for column, quantity in told.items():
            if row[column] != quantity:
                yield Finding("lot", lot, f"{column} is {row[column]} in the table, {quantity} told", _LOT_TOPIC)
        if entered[lot] != released[lot]:
            what = f"{released[lot]} were released, {entered[lot]} moved into the pool"
            yield Finding("lot", lot, what, TOPIC)
        if row["on_hand"] != entered[lot] - left[lot]:
            what = f"in {entered[lot]} is not out {left[lot]} + on hand {row['on_hand']}"
            yield Finding("lot", lot, what, TOPIC)
    rows = {row["id"] for row in evidence.rows(INVENTORY, "lot")}
    for lot in sorted(received.keys() - rows):
        yield Finding("lot", lot, "was told but has no row", _LOT_TOPIC)


def unattributed(evidence: Evidence) -> Iterator[Finding]:
    """An item's goods are those of its lots and of its unattributed one, which movements without a lot make up."""
    in_lots: Counter[tuple[str, str]] = Counter()
    for row in evidence.rows(INVENTORY, "lot"):
        in_lots[row["pool"], row["item"]] += row["on_hand"]
    for move in evidence.rows(INVENTORY, "movement"):
        if move["lot"] is None:
            sign = (move["target"] == "on_hand") - (move["source"] == "on_hand")
            in_lots[move["pool"], move["item"]] += sign * move["quantity"]
    for row in evidence.rows(INVENTORY, "stock"):
        if (total := in_lots[row["pool"], row["item"]]) != row["on_hand"]:
            what = f"on hand is {row['on_hand']}, its lots come to {total}"
            yield Finding("lot", f"{row['pool']}/{row['item']}", what, "inventory.lot")


def _moved(evidence: Evidence) -> tuple[Counter[str], Counter[str]]:
    """By lot: what came into the pool from intake, and what has left it since, less what came back."""
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
