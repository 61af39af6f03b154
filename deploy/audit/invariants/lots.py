"""Lots: to the gram, the incoming quantity equals the outgoing quantity plus the goods on hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from contracts.topics import INVENTORY
from deploy.audit.finding import Finding
from deploy.audit.invariants.facts import Tables, Topics
from deploy.audit.invariants.invariant import Moment, invariant
from deploy.audit.invariants.stock_log import TOPIC

_LOT_TOPIC = "inventory.lot.v1"


@invariant(Moment.QUIET)
def balance(topics: Topics, tables: Tables) -> Iterator[Finding]:
    """A lot's weigh-in, rejects, outgoing movements and goods on hand add up, in the topics and in the tables."""
    received: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    released: Counter[str] = Counter()
    for fact in topics[_LOT_TOPIC]:
        by_type = {"lot-received": received, "lot-rejected": rejected, "lot-released": released}
        if fact.type in by_type:
            by_type[fact.type][fact.subject] += fact.data["quantity"]
    entered, left = _moved(topics)
    for row in tables.rows(INVENTORY, "lot"):
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
    rows = {row["id"] for row in tables.rows(INVENTORY, "lot")}
    for lot in sorted(received.keys() - rows):
        yield Finding("lot", lot, "was published but has no row", _LOT_TOPIC)


@invariant(Moment.ALWAYS)
def movements(tables: Tables) -> Iterator[Finding]:
    """A lot's goods on hand are the sum of its movements."""
    on_hand: Counter[str] = Counter()
    for move in tables.rows(INVENTORY, "movement"):
        on_hand[move["lot"]] += ((move["target"] == "on_hand") - (move["source"] == "on_hand")) * move["quantity"]
    for row in tables.rows(INVENTORY, "lot"):
        if row["on_hand"] != on_hand[row["id"]]:
            what = f"on hand is {row['on_hand']} in the table, {on_hand[row['id']]} by its movements"
            yield Finding("lot", row["id"], what, "inventory.movement")


@invariant(Moment.ALWAYS)
def unattributed(tables: Tables) -> Iterator[Finding]:
    """An item's goods on hand are those of its lots plus the movements without a lot."""
    in_lots: Counter[tuple[str, str]] = Counter()
    for row in tables.rows(INVENTORY, "lot"):
        in_lots[row["pool"], row["item"]] += row["on_hand"]
    for move in tables.rows(INVENTORY, "movement"):
        if move["lot"] is None:
            sign = (move["target"] == "on_hand") - (move["source"] == "on_hand")
            in_lots[move["pool"], move["item"]] += sign * move["quantity"]
    for row in tables.rows(INVENTORY, "stock"):
        if (total := in_lots[row["pool"], row["item"]]) != row["on_hand"]:
            what = f"on hand is {row['on_hand']}, its lots sum up to {total}"
            yield Finding("lot", f"{row['pool']}/{row['item']}", what, "inventory.lot")


def _moved(topics: Topics) -> tuple[Counter[str], Counter[str]]:
    """Return by lot the quantity that entered the pool from intake, and the quantity that left it, less returns."""
    entered: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for fact in topics.of("stock-moved"):
        lot, quantity = fact.data["lot"], fact.data["quantity"]
        if fact.data["from_place"] == "intake":
            entered[lot] += quantity
        else:
            left[lot] += quantity if fact.data["from_place"] == "on_hand" else -quantity
    return entered, left
