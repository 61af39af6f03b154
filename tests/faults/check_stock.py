"""Stock: never more promised than there is, every movement once, every sale of a stall once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tests.faults.evidence import Evidence, Finding, Goods, by
from tests.faults.history import Outcome
from tests.faults.observer import ObservedRecord

SUPPLY = {"intake", "courier", "found", "lost"}
"""Places from which goods come that nobody was promised; what a stall takes back is still lent to it."""


def _lines(record: ObservedRecord, sign: int = 1) -> Iterator[tuple[Goods, int]]:
    for line in record.data["lines"]:
        yield (record.data["pool"], line["item"]), sign * line["quantity"]


def _step(record: ObservedRecord) -> Iterator[tuple[str, Goods, int]]:
    """What a record of the stock topic adds to `supply` or to what is `promised`, sold and handed out included."""
    data = record.data
    if record.type == "stock-moved":
        goods = (data["pool"], data["item"])
        if data["to_place"] == "on_hand" and data["from_place"] in SUPPLY:
            yield "supply", goods, data["quantity"]
        elif data["from_place"] == "on_hand" and data["to_place"] in {"waste", "lost"}:
            yield "supply", goods, -data["quantity"]
    elif record.type == "stock-reserved":
        yield from (("promised", *line) for line in _lines(record))
    elif record.type in {"reservation-released", "reservation-expired"}:
        yield from (("promised", *line) for line in _lines(record, -1))
    elif record.type in {"allotment-granted", "allotment-returned"}:
        sign = 1 if record.type == "allotment-granted" else -1
        yield "promised", (data["pool"], data["item"]), sign * data["quantity"]


def never_oversold(e: Evidence) -> Iterator[Finding]:
    """At no place of the stock topic is more promised, lent and handed out than came in; scarce goods go all."""
    books: dict[str, Counter[Goods]] = {"supply": Counter(), "promised": Counter()}
    oversold: set[Goods] = set()
    for record in e.facts:
        if record.topic != "inventory.stock.v1":
            continue
        for book, goods, quantity in _step(record):
            books[book][goods] += quantity
            over = books["promised"][goods] - books["supply"][goods]
            if over > 0 and goods not in oversold:
                oversold.add(goods)
                yield Finding("oversold", "/".join(goods), f"{over} too many at {record.partition}/{record.offset}")
    for goods, supply in books["supply"].items():
        if goods[1] in e.scarce and books["promised"][goods] != supply:
            yield Finding("not used up", "/".join(goods), f"{books['promised'][goods]} of {supply}")


FLOWS = (
    ("sold", {"sale-recorded": 1, "sale-voided": -1}),
    ("courier", {"job-loaded": 1, "job-returned": -1}),
    ("buyer", {"order-collected": 1}),
)


def moved_once(e: Evidence) -> Iterator[Finding]:
    """What left on_hand is what stalls, couriers and buyers say they got; the rest is what the view shows."""
    net: dict[str, Counter[Goods]] = defaultdict(Counter)
    for record in e.of("stock-moved"):
        goods, quantity = (record.data["pool"], record.data["item"]), record.data["quantity"]
        net[record.data["to_place"]][goods] += quantity
        net[record.data["from_place"]][goods] -= quantity
    for place, types in FLOWS:
        told = Counter[Goods]()
        for type, sign in types.items():
            for record in e.of(type):
                for goods, quantity in _lines(record, sign):
                    told[goods] += quantity
        for goods in sorted(set(told) | set(net[place])):
            if told[goods] != net[place][goods]:
                yield Finding(
                    "movements differ", "/".join(goods), f"{place}: {told[goods]} told, {net[place][goods]} moved"
                )
    for goods, row in e.views.stock.items():
        if row["on_hand"] != net["on_hand"][goods]:
            yield Finding("views differ", "/".join(goods), f"{net['on_hand'][goods]} moved, {row['on_hand']} shown")
        left = {name: row[name] for name in ("held", "allocated", "shortfall") if row[name]}
        if left:
            yield Finding("claims left", "/".join(goods), str(left))


def every_sale_once(e: Evidence) -> Iterator[Finding]:
    """Each upload of a stall took effect exactly once, with its own content."""
    sent, sure = _uploads(e)
    for type, kind in (("sale-recorded", "sale"), ("sale-voided", "void")):
        told: dict[tuple[Any, ...], list[ObservedRecord]] = defaultdict(list)
        for record in e.of(type):
            told[tuple(record.data[name] for name in ("terminal", "device", "session", "seq_no"))].append(record)
        for number, found in told.items():
            if number not in sent:
                yield Finding("sale that nobody made", _name(number), type)
            elif len(found) > 1:
                yield Finding(f"doubled {kind}", _name(number), f"{len(found)} events")
            elif kind == "sale" and _goods(found[0]) != sent[number]["lines"]:
                yield Finding("other content", _name(number), f"sold {sent[number]['lines']}, told {_goods(found[0])}")
        for number in sure:
            if sent[number]["kind"] == kind and number not in told:
                yield Finding(f"lost {kind}", _name(number), "uploaded, but no event")
    for sale, found in by("sale", e.of("sale-recorded")).items():
        if len(found) > 1:
            yield Finding("doubled sale", sale, f"{len(found)} events")


def _uploads(e: Evidence) -> tuple[dict[tuple[Any, ...], Mapping[str, Any]], set[tuple[Any, ...]]]:
    """What terminals sent by number, and the numbers that were taken for sure."""
    sent: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    sure: set[tuple[Any, ...]] = set()
    for entry in e.entries_of("stall"):
        data = entry.operation.data
        for upload in data["uploads"]:
            number = (entry.operation.subject, data["device"], data["session"], upload["seq"])
            sent[number] = upload
            if entry.outcome is Outcome.OK:
                sure.add(number)
    return sent, sure


def _goods(record: ObservedRecord) -> list[list[Any]]:
    return [[line["item"], line["quantity"]] for line in record.data["lines"]]


def _name(number: tuple[Any, ...]) -> str:
    return "/".join(map(str, number))


CHECKS = (never_oversold, moved_once, every_sale_once)
