"""Invariants of stock: never more promised than available, every movement once, every stall sale once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tests.faults.evidence import Evidence, Finding, Goods, group_by
from tests.faults.history import Outcome
from tests.faults.observer import ObservedRecord

SUPPLY = {"intake", "courier", "found", "lost"}
"""Places that add unpromised stock; goods that a stall gives back are still lent to it."""


def _lines(record: ObservedRecord, sign: int = 1) -> Iterator[tuple[Goods, int]]:
    for line in record.data["lines"]:
        yield (record.data["pool"], line["item"]), sign * line["quantity"]


def _stock_effects(record: ObservedRecord) -> Iterator[tuple[str, Goods, int]]:
    """Yield how a record of the stock topic changes `supply` or `promised`, which includes sold and
    handed-out goods.
    """
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
    """At no position of the topic is more promised, lent and handed out than was received; scarce items sell out."""
    totals: dict[str, Counter[Goods]] = {"supply": Counter(), "promised": Counter()}
    oversold: set[Goods] = set()
    for record in e.facts:
        if record.topic != "inventory.stock.v1":
            continue
        for total, goods, quantity in _stock_effects(record):
            totals[total][goods] += quantity
            over = totals["promised"][goods] - totals["supply"][goods]
            if over > 0 and goods not in oversold:
                oversold.add(goods)
                yield Finding("oversold", "/".join(goods), f"{over} too many at {record.partition}/{record.offset}")
    for goods, supply in totals["supply"].items():
        if goods[1] in e.scarce and totals["promised"][goods] != supply:
            yield Finding("not sold out", "/".join(goods), f"{totals['promised'][goods]} of {supply}")


FLOWS = (
    ("sold", {"sale-recorded": 1, "sale-voided": -1}),
    ("courier", {"job-loaded": 1, "job-returned": -1}),
    ("buyer", {"order-collected": 1}),
)


def moved_once(e: Evidence) -> Iterator[Finding]:
    """Movements out of `on_hand` match the sales, loads and collections; the rest matches the view."""
    net: dict[str, Counter[Goods]] = defaultdict(Counter)
    for record in e.of("stock-moved"):
        goods, quantity = (record.data["pool"], record.data["item"]), record.data["quantity"]
        net[record.data["to_place"]][goods] += quantity
        net[record.data["from_place"]][goods] -= quantity
    for place, types in FLOWS:
        published = Counter[Goods]()
        for type, sign in types.items():
            for record in e.of(type):
                for goods, quantity in _lines(record, sign):
                    published[goods] += quantity
        for goods in sorted(set(published) | set(net[place])):
            if published[goods] != net[place][goods]:
                yield Finding(
                    "movements differ",
                    "/".join(goods),
                    f"{place}: {published[goods]} published, {net[place][goods]} moved",
                )
    for goods, row in e.views.stock.items():
        if row["on_hand"] != net["on_hand"][goods]:
            yield Finding("views differ", "/".join(goods), f"{net['on_hand'][goods]} moved, {row['on_hand']} shown")
        left = {name: row[name] for name in ("held", "allocated", "shortfall") if row[name]}
        if left:
            yield Finding("reservations left", "/".join(goods), str(left))


def every_sale_once(e: Evidence) -> Iterator[Finding]:
    """Each upload of a stall took effect exactly once, with its own content."""
    sent, accepted = _uploads(e)
    for type, kind in (("sale-recorded", "sale"), ("sale-voided", "void")):
        published: dict[tuple[Any, ...], list[ObservedRecord]] = defaultdict(list)
        for record in e.of(type):
            published[tuple(record.data[name] for name in ("terminal", "device", "session", "seq_no"))].append(record)
        for number, found in published.items():
            if number not in sent:
                yield Finding("unknown sale", _name(number), type)
            elif len(found) > 1:
                yield Finding(f"duplicate {kind}", _name(number), f"{len(found)} events")
            elif kind == "sale" and _goods(found[0]) != sent[number]["lines"]:
                yield Finding(
                    "other content", _name(number), f"sold {sent[number]['lines']}, published {_goods(found[0])}"
                )
        for number in accepted:
            if sent[number]["kind"] == kind and number not in published:
                yield Finding(f"lost {kind}", _name(number), "uploaded, but no event")
    for sale, found in group_by("sale", e.of("sale-recorded")).items():
        if len(found) > 1:
            yield Finding("duplicate sale", sale, f"{len(found)} events")


def _uploads(e: Evidence) -> tuple[dict[tuple[Any, ...], Mapping[str, Any]], set[tuple[Any, ...]]]:
    """Return the uploads of terminals by number, and the numbers that were accepted for certain."""
    sent: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    accepted: set[tuple[Any, ...]] = set()
    for entry in e.entries_of("stall"):
        data = entry.operation.data
        for upload in data["uploads"]:
            number = (entry.operation.subject, data["device"], data["session"], upload["seq"])
            sent[number] = upload
            if entry.outcome is Outcome.OK:
                accepted.add(number)
    return sent, accepted


def _goods(record: ObservedRecord) -> list[list[Any]]:
    return [[line["item"], line["quantity"]] for line in record.data["lines"]]


def _name(number: tuple[Any, ...]) -> str:
    return "/".join(map(str, number))


CHECKS = (never_oversold, moved_once, every_sale_once)
