"""Stall sales: each has taken effect once, from the terminal's upload to the goods that left the table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from contracts.topics import INVENTORY, ORDERS
from deploy.audit.finding import Finding
from deploy.audit.invariants.facts import Fact, History, Outcome, Tables, Topics
from deploy.audit.invariants.invariant import Moment, invariant

TOPIC = "orders.stall.v1"
Goods = Mapping[str, int]
Number = tuple[Any, ...]
"""Terminal, device, session and number of an upload."""


@invariant(Moment.QUIET)
def once(topics: Topics, tables: Tables) -> Iterator[Finding]:
    """A terminal's uploads, the topic and the stock movements have the same sales, with the same goods."""
    rows, published, moved = _recorded(tables), _published(topics), _moved(tables)
    voided = {fact.data["sale"] for fact in topics.of("sale-voided")}
    known = {row["id"]: row for row in tables.rows(INVENTORY, "sale")}
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


@invariant(Moment.QUIET)
def allotments(tables: Tables) -> Iterator[Finding]:
    """The allotments that orders shows a terminal are those that inventory granted."""
    names = ("terminal", "pool", "item")
    figures = ("granted_total", "returned_total", "version")
    published = {
        tuple(row[n] for n in names): tuple(row[n] for n in figures)
        for row in tables.rows(ORDERS, "terminal_allotment")
    }
    lent = {
        tuple(row[n] for n in names): (row["granted"], row["returned"], row["version"])
        for row in tables.rows(INVENTORY, "allotment")
        if row["version"]
    }
    for key in sorted(published.keys() | lent.keys()):
        if published.get(key) != lent.get(key):
            what = f"granted, returned, version: {published.get(key)} for {key[0]}, {lent.get(key)} in the stock"
            yield Finding("allotment", "/".join(key), what, "orders.terminal_allotment")


@invariant(Moment.QUIET)
def uploaded(history: History, topics: Topics) -> Iterator[Finding]:
    """Each sale and void that a terminal uploaded took effect once, with its own content, and no other did."""
    sent: dict[Number, Mapping[str, Any]] = {}
    accepted: set[Number] = set()
    for entry in history.of("stall"):
        data = entry.operation.data
        for upload in data["uploads"]:
            number = (entry.operation.subject, data["device"], data["session"], upload["seq"])
            sent[number] = upload
            if entry.outcome is Outcome.OK:
                accepted.add(number)
    for type, kind in (("sale-recorded", "sale"), ("sale-voided", "void")):
        published: dict[Number, list[Fact]] = defaultdict(list)
        for fact in topics.of(type):
            published[tuple(fact.data[name] for name in ("terminal", "device", "session", "seq_no"))].append(fact)
        for number, found in published.items():
            goods = [[line["item"], line["quantity"]] for line in found[0].data["lines"]]
            if number not in sent:
                yield Finding("unknown sale", _name(number), f"{type} was published, but not uploaded", TOPIC)
            elif len(found) > 1:
                yield Finding(f"duplicate {kind}", _name(number), f"{len(found)} events", TOPIC)
            elif kind == "sale" and goods != sent[number]["lines"]:
                what = f"sold {sent[number]['lines']}, published {goods}"
                yield Finding("other content", _name(number), what, found[0].where)
        for number in accepted:
            if sent[number]["kind"] == kind and number not in published:
                yield Finding(f"lost {kind}", _name(number), "was uploaded, but no event was published", TOPIC)


def _name(number: Number) -> str:
    return "/".join(map(str, number))


def _recorded(tables: Tables) -> dict[str, Goods]:
    found: dict[str, Counter[str]] = {row["sale"]: Counter() for row in tables.rows(ORDERS, "stall_sale")}
    for row in tables.rows(ORDERS, "stall_sale_line"):
        found[row["sale"]][row["item"]] += row["quantity"]
    return dict(found)


def _published(topics: Topics) -> dict[str, Goods]:
    found: dict[str, Goods] = {}
    for fact in topics.of("sale-recorded"):
        goods: Counter[str] = Counter()
        for line in fact.data["lines"]:
            goods[line["item"]] += line["quantity"]
        found[fact.data["sale"]] = goods
    return found


def _moved(tables: Tables) -> dict[str, Goods]:
    found: dict[str, Counter[str]] = {}
    for move in tables.rows(INVENTORY, "movement"):
        kind, _, sale = move["cause"].partition("/")
        if kind == "sale" and "sold" in (move["source"], move["target"]):
            sign = 1 if move["target"] == "sold" else -1
            found.setdefault(sale, Counter())[move["item"]] += sign * move["quantity"]
    return {sale: {item: quantity for item, quantity in goods.items() if quantity} for sale, goods in found.items()}


def _words(goods: Goods | None) -> str:
    return "nothing" if not goods else ", ".join(f"{quantity} {item}" for item, quantity in sorted(goods.items()))
