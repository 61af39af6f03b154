"""Stock rows, movements and topic agree; no more was promised than there was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from contracts.topics import INVENTORY
from deploy.audit.evidence.evidence import Evidence, Fact
from deploy.audit.evidence.stock_log import TOPIC, Pool, context, replay
from deploy.audit.evidence.tables import Row
from deploy.audit.finding import Finding

_CLAIMS = ("held", "allocated", "allotted", "unconfirmed")
_PLACES = frozenset({"intake", "on_hand", "sold", "courier", "buyer", "waste", "found", "lost"})


def movements(evidence: Evidence) -> Iterator[Finding]:
    """A stock row is the sum of its movements, and its shortfall and available quantity follow from it."""
    sums: dict[tuple[str, str], Counter[str]] = {}
    for move in evidence.rows(INVENTORY, "movement"):
        found = sums.setdefault((move["pool"], move["item"]), Counter())
        found[move["target"]] += move["quantity"]
        found[move["source"]] -= move["quantity"]
    rows = {(row["pool"], row["item"]): row for row in evidence.rows(INVENTORY, "stock")}
    for pool, item in sorted(sums.keys() | rows.keys()):
        found = sums.get((pool, item), Counter())
        claims = sum(found[name] for name in _CLAIMS)
        figures = {name: found[name] for name in ("on_hand", *_CLAIMS)}
        figures["shortfall"] = max(0, claims - found["on_hand"])
        figures["available"] = found["on_hand"] - claims + figures["shortfall"]
        yield from _same(pool, item, rows.get((pool, item)), figures, "movements", "inventory.movement")


def _same(pool: str, item: str, row: Row | None, figures: dict[str, int], name: str, where: str) -> Iterator[Finding]:
    for column, figure in figures.items():
        kept = row[column] if row else 0
        if kept != figure:
            what = f"{column} is {kept} in the table, {figure} by the {name}"
            yield Finding("stock", f"{pool}/{item}", what, where)


def topic(evidence: Evidence) -> Iterator[Finding]:
    """The topic gives the same row: goods by movements, claims by reservations and allotments."""
    pools = _ends(evidence)
    for row in evidence.rows(INVENTORY, "stock"):
        pool = pools.get(row["pool"], Pool())
        yield from _same(row["pool"], row["item"], row, pool.figures(row["item"]), "topic", TOPIC)
        if row["closed"] != pool.closed.get(row["item"], False):
            what = f"sold out is {row['closed']} in the table, not so by the topic"
            yield Finding("stock", f"{row['pool']}/{row['item']}", what, TOPIC)
    known = {(row["pool"], row["item"]) for row in evidence.rows(INVENTORY, "stock")}
    for name, pool in pools.items():
        for item in sorted(set(pool.on_hand) - {item for owner, item in known if owner == name}):
            yield Finding("stock", f"{name}/{item}", "was published but has no row", TOPIC)


def physical(evidence: Evidence) -> Iterator[Finding]:
    """Every physical movement was published, and every published movement is a row with the same content."""
    names = ("pool", "item", "lot", "inferred", "source", "target", "quantity", "cause", "reason")
    rows = {
        row["id"]: tuple(row[name] for name in names)
        for row in evidence.rows(INVENTORY, "movement")
        if row["source"] in _PLACES
    }
    fields = ("pool", "item", "lot", "inferred", "from_place", "to_place", "quantity", "cause", "reason")
    published = {
        fact.data["movement"]: tuple(fact.data[name] for name in fields)
        for fact in evidence.facts.get(TOPIC, ())
        if fact.type == "stock-moved"
    }
    for id in sorted(rows.keys() | published.keys()):
        if rows.get(id) != published.get(id):
            what = f"is {rows.get(id, 'absent')} in the table, {published.get(id, 'absent')} in the topic"
            yield Finding("movement", id, what, "inventory.movement")


def promises(evidence: Evidence) -> Iterator[Finding]:
    """At no position of the log was more promised than there was, and every shortfall was published as it was."""
    for name, pool, fact in _replay(evidence):
        if fact.type == "claims-exceeded":
            item, published = fact.data["item"], fact.data["shortfall"]
            if (short := pool.figures(item)["shortfall"]) != published:
                what = f"a shortfall of {published} was published when it was {short}"
                yield Finding("promise", f"{name}/{item}", what, fact.where)
        for item, rise in pool.risen.items():
            what = f"{fact.type} for {fact.subject} promised {rise} more than there was"
            yield Finding("promise", f"{name}/{item}", what, fact.where)


def _replay(evidence: Evidence) -> Iterator[tuple[str, Pool, Fact]]:
    return replay(evidence.facts.get(TOPIC, ()), context(evidence))


def _ends(evidence: Evidence) -> dict[str, Pool]:
    return {name: pool for name, pool, _ in _replay(evidence)}
