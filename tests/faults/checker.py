"""Judges a run from outside: from the clients' history, the topics and the HTTP views only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set

from deploy.audit.finding import Finding
from deploy.audit.invariants import judge
from deploy.audit.invariants.facts import Fact, Goods, Topics
from tests.faults.evidence import Evidence

SUPPLY = {"intake", "courier", "found", "lost"}
"""Places that add unpromised stock; goods that a stall gives back are still lent to it."""


def check(evidence: Evidence) -> list[Finding]:
    """Return all violations; empty when every guarantee holds and nothing is in progress."""
    return [*judge(evidence.facts), *sold_out(evidence.topics, evidence.scarce)]


def sold_out(topics: Topics, scarce: Set[str]) -> Iterator[Finding]:
    """Scarce items are promised, lent and handed out to the last, and never beyond, as long as no goods are wasted."""
    # A campaign's reservation only passes its goods on to its orders.
    orders = {"", *(fact.subject for fact in topics.of("order-placed"))}
    supply, promised = Counter[Goods](), Counter[Goods]()
    oversold: set[Goods] = set()
    for fact in topics["inventory.stock.v1"]:
        for total, goods, quantity in _effects(fact) if fact.data.get("order", "") in orders else ():
            (supply if total == "supply" else promised)[goods] += quantity
            if (over := promised[goods] - supply[goods]) > 0 and goods not in oversold:
                oversold.add(goods)
                yield Finding("oversold", "/".join(goods), f"{over} too many were promised", fact.where)
    for goods, there in supply.items():
        if goods[1] in scarce and promised[goods] != there:
            yield Finding("not sold out", "/".join(goods), f"{promised[goods]} of {there} were promised")


def _effects(fact: Fact) -> Iterator[tuple[str, Goods, int]]:
    """Yield how a fact changes `supply` or `promised`, which includes sold and handed-out goods."""
    data = fact.data
    if fact.type == "stock-moved":
        goods = (data["pool"], data["item"])
        if data["to_place"] == "on_hand" and data["from_place"] in SUPPLY:
            yield "supply", goods, data["quantity"]
        elif data["from_place"] == "on_hand" and data["to_place"] in {"waste", "lost"}:
            yield "supply", goods, -data["quantity"]
    elif fact.type in {"stock-reserved", "reservation-released", "reservation-expired"}:
        sign = 1 if fact.type == "stock-reserved" else -1
        yield from (("promised", (data["pool"], line["item"]), sign * line["quantity"]) for line in data["lines"])
    elif fact.type in {"allotment-granted", "allotment-returned"}:
        sign = 1 if fact.type == "allotment-granted" else -1
        yield "promised", (data["pool"], data["item"]), sign * data["quantity"]
