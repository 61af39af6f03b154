"""Stall sales: each has taken effect once, from the terminal's upload to the goods that left the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from contracts.topics import INVENTORY, ORDERS
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.finding import Finding

TOPIC = "orders.stall.v1"
Goods = Mapping[str, int]


def once(evidence: Evidence) -> Iterator[Finding]:
    """A terminal's uploads, the topic and the stock movements have the same sales, with the same goods."""
    rows, published, moved = _recorded(evidence), _published(evidence), _moved(evidence)
    voided = {f.data["sale"] for f in evidence.facts.get(TOPIC, ()) if f.type == "sale-voided"}
    known = {row["id"]: row for row in evidence.rows(INVENTORY, "sale")}
    for sale in sorted(rows.keys() | published.keys() | moved.keys()):
        kept, said = rows.get(sale), published.get(sale)
        if kept != said:
            yield Finding("sale", sale, f"{_words(kept)} in the table, {_words(said)} in the topic", TOPIC)
        elif sale not in known:
            yield Finding("sale", sale, "was published but has no effect in the stock", "inventory.sale")
        elif known[sale]["voided"] != (sale in voided):
            yield Finding("sale", sale, "is void for one of orders and inventory only", "inventory.sale")
        elif moved.get(sale, {}) != (expected := {} if sale in voided else said):
            what = f"took {_words(moved.get(sale))} out of stock instead of {_words(expected)}"
            yield Finding("sale", sale, what, "inventory.movement")


def allotments(evidence: Evidence) -> Iterator[Finding]:
    """The allotments that orders shows a terminal are those that inventory granted."""
    names = ("terminal", "pool", "item")
    figures = ("granted_total", "returned_total", "version")
    published = {
        tuple(row[n] for n in names): tuple(row[n] for n in figures)
        for row in evidence.rows(ORDERS, "terminal_allotment")
    }
    lent = {
        tuple(row[n] for n in names): (row["granted"], row["returned"], row["version"])
        for row in evidence.rows(INVENTORY, "allotment")
        if row["version"]
    }
    for key in sorted(published.keys() | lent.keys()):
        if published.get(key) != lent.get(key):
            what = f"granted, returned, version: {published.get(key)} for {key[0]}, {lent.get(key)} in the stock"
            yield Finding("allotment", "/".join(key), what, "orders.terminal_allotment")


def _recorded(evidence: Evidence) -> dict[str, Goods]:
    found: dict[str, Counter[str]] = {row["sale"]: Counter() for row in evidence.rows(ORDERS, "stall_sale")}
    for row in evidence.rows(ORDERS, "stall_sale_line"):
        found[row["sale"]][row["item"]] += row["quantity"]
    return dict(found)


def _published(evidence: Evidence) -> dict[str, Goods]:
    found: dict[str, Goods] = {}
    for fact in evidence.facts.get(TOPIC, ()):
        if fact.type == "sale-recorded":
            goods: Counter[str] = Counter()
            for line in fact.data["lines"]:
                goods[line["item"]] += line["quantity"]
            found[fact.data["sale"]] = goods
    return found


def _moved(evidence: Evidence) -> dict[str, Goods]:
    found: dict[str, Counter[str]] = {}
    for move in evidence.rows(INVENTORY, "movement"):
        kind, _, sale = move["cause"].partition("/")
        if kind == "sale" and "sold" in (move["source"], move["target"]):
            sign = 1 if move["target"] == "sold" else -1
            found.setdefault(sale, Counter())[move["item"]] += sign * move["quantity"]
    return {sale: {item: quantity for item, quantity in goods.items() if quantity} for sale, goods in found.items()}


def _words(goods: Goods | None) -> str:
    return "nothing" if not goods else ", ".join(f"{quantity} {item}" for item, quantity in sorted(goods.items()))
