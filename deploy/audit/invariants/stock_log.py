"""Stock as computed from its topic: an independent projection, in log order, of goods and of claims.

All records of a pool are in one partition, so their order is the order in which the pool changed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from deploy.audit.invariants.facts import Fact, Topics

TOPIC = "inventory.stock.v1"
Key = tuple[str, str]
"""(pool, item)"""
HELD, ALLOCATED = "held", "allocated"


@dataclass
class TerminalStock:
    """Goods of one item that are lent to a terminal: sellable offline, or unconfirmed since the lease ended."""

    allotted: int = 0
    unconfirmed: int = 0
    returned: int = 0
    granted: int = 0
    lease: datetime | None = None
    recovered: tuple[str, int] = ("", 0)

    def take(self, quantity: int, spare: int = 0) -> int:
        """Take sold goods off: `spare` of them from the unconfirmed ones, then allotted, then unconfirmed ones. Return
        the quantity that was lent; the rest was never lent.
        """
        allotted = min(quantity - spare, self.allotted)
        unconfirmed = min(quantity - allotted, self.unconfirmed)
        self.allotted -= allotted
        self.unconfirmed -= unconfirmed
        return allotted + unconfirmed

    def give_back(self, quantity: int) -> None:
        """Take returned goods off, unconfirmed ones first."""
        unconfirmed = min(quantity, self.unconfirmed)
        self.unconfirmed -= unconfirmed
        self.allotted -= min(quantity - unconfirmed, self.allotted)


@dataclass
class Claim:
    """A reservation's claim: its bucket, and the quantity of each item."""

    bucket: str
    goods: Counter[str]


@dataclass
class Pool:
    """One pool as far as its records have been read. `risen`: by how much the last record raised the shortfall of an
    item, if it is one that claims goods.
    """

    on_hand: Counter[str] = field(default_factory=Counter)
    lots: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    claims: dict[str, Claim] = field(default_factory=dict)
    tables: dict[tuple[str, str], TerminalStock] = field(default_factory=lambda: defaultdict(TerminalStock))
    closed: dict[str, bool] = field(default_factory=dict)
    lent: Counter[tuple[str, str]] = field(default_factory=Counter)
    risen: dict[str, int] = field(default_factory=dict)
    _claimed: Counter[tuple[str, str]] = field(default_factory=Counter)

    def claim(self, reservation: str, bucket: str, goods: Mapping[str, int]) -> None:
        """Replace a reservation's claim."""
        self.unclaim(reservation)
        self.claims[reservation] = Claim(bucket, Counter(goods))
        for item, quantity in goods.items():
            self._claimed[bucket, item] += quantity

    def unclaim(self, reservation: str) -> None:
        """End a reservation's claim, if it has one."""
        if gone := self.claims.pop(reservation, None):
            for item, quantity in gone.goods.items():
                self._claimed[gone.bucket, item] -= quantity

    def figures(self, item: str) -> dict[str, int]:
        """Return the stock row that the item should have."""
        found = {"on_hand": self.on_hand[item], HELD: self._claimed[HELD, item]}
        found |= {ALLOCATED: self._claimed[ALLOCATED, item], "allotted": 0, "unconfirmed": 0}
        for (_, name), table in self.tables.items():
            if name == item:
                found["allotted"] += table.allotted
                found["unconfirmed"] += table.unconfirmed
        claims = sum(found.values()) - found["on_hand"]
        found["shortfall"] = max(0, claims - found["on_hand"])
        found["available"] = found["on_hand"] - claims + found["shortfall"]
        return found


@dataclass(frozen=True)
class Context:
    """Facts of other topics that the stock topic leaves out: the terminal of a sale and the source of a reservation."""

    terminals: Mapping[str, str]
    origins: Mapping[str, str]


def context(topics: Topics) -> Context:
    """Read the context from the stall and command topics."""
    return Context(
        {fact.data["sale"]: fact.subject for fact in topics.of("sale-recorded", "sale-voided")},
        {fact.subject: fact.data["source"] for fact in topics.of("reserve-stock") if fact.data.get("source")},
    )


def replay(facts: Iterable[Fact], others: Context) -> Iterator[tuple[str, Pool, Fact]]:
    """Yield each fact of the stock topic, pool by pool, with its pool right after it."""
    by_pool: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        by_pool[fact.data["pool"]].append(fact)
    for name, recorded in sorted(by_pool.items()):
        pool = Pool()
        for _, group in groupby(recorded, key=_one_step):
            together = list(group)
            pool.risen = {}
            if together[0].type == "stock-moved":
                _moved(pool, together, others)
            else:
                _apply(pool, together[0], others)
            for fact in together:
                yield name, pool, fact


def _one_step(fact: Fact) -> tuple[str, ...]:
    """Return the key of a step: movements of an item with the same cause are one step, every other fact is its own."""
    if fact.type == "stock-moved":
        return fact.cause, fact.subject, fact.data["cause"]
    return (fact.id,)


def items_of(fact: Fact) -> set[str]:
    """Return the items that a fact of the stock topic is about."""
    return {line["item"] for line in fact.data.get("lines", ())} or {fact.data.get("item", "")}


def _moved(pool: Pool, facts: list[Fact], others: Context) -> None:
    item, cause = facts[0].data["item"], facts[0].data["cause"]
    outside: Counter[str] = Counter()
    for fact in facts:
        move, quantity = fact.data, fact.data["quantity"]
        for place, sign in ((move["to_place"], 1), (move["from_place"], -1)):
            if place == "on_hand":
                pool.on_hand[item] += sign * quantity
                pool.lots[item, move["lot"]] += sign * quantity
            else:
                outside[place] += sign * quantity
    # A correction takes from one lot what it gives to another: it moves no claim.
    kind, _, rest = cause.partition("/")
    net = {place: quantity for place, quantity in outside.items() if quantity}
    if kind == "reservation" and (net.get("courier", 0) > 0 or net.get("buyer", 0) > 0):
        pool.unclaim(rest)
    elif kind == "sale" and net.get("sold"):
        _sold(pool, pool.tables[others.terminals.get(rest, ""), item], (rest, item), net["sold"], facts[0])
    elif kind == "loss" and net.get("lost"):
        _lost(pool.tables[rest.split("/")[1], item], net["lost"], facts[0])


def _sold(pool: Pool, table: TerminalStock, sale: tuple[str, str], quantity: int, fact: Fact) -> None:
    if quantity > 0:
        cause, recovered = table.recovered
        pool.lent[sale] += table.take(quantity, recovered if cause == fact.cause else 0)
    elif table.lease is not None and table.lease > datetime.fromisoformat(fact.time):
        table.allotted += pool.lent.pop(sale, 0)
    else:
        table.unconfirmed += pool.lent.pop(sale, 0)


def _lost(table: TerminalStock, quantity: int, fact: Fact) -> None:
    if quantity > 0:
        table.give_back(quantity)
    else:
        table.unconfirmed -= quantity
        table.recovered = (fact.cause, -quantity)


def _apply(pool: Pool, fact: Fact, others: Context) -> None:
    data, subject = fact.data, fact.subject
    before = {item: pool.figures(item)["shortfall"] for item in items_of(fact)}
    match fact.type:
        case "stock-reserved" if subject not in pool.claims:  # else the command was repeated, and confirmed again
            _reserved(pool, fact, others.origins.get(subject, ""))
        case "stock-committed" if subject in pool.claims:
            pool.claim(subject, ALLOCATED, pool.claims[subject].goods)
        case "reservation-released" | "reservation-expired":
            pool.unclaim(subject)
        case "allotment-granted" | "allotment-returned" | "allotment-lapsed":
            _lent(pool.tables[subject, data["item"]], fact)
        case "sold-out":
            pool.closed[data["item"]] = not data["reopened"]
    rises = {item: pool.figures(item)["shortfall"] - short for item, short in before.items()}
    pool.risen = {item: rise for item, rise in rises.items() if rise > 0}


def _reserved(pool: Pool, fact: Fact, origin: str) -> None:
    goods: Counter[str] = Counter()
    for line in fact.data["lines"]:
        goods[line["item"]] += line["quantity"]
    if origin in pool.claims:
        rest = pool.claims[origin]
        pool.claim(origin, rest.bucket, rest.goods - goods)
    pool.claim(fact.subject, ALLOCATED if fact.data["firm"] else HELD, goods)


def _lent(table: TerminalStock, fact: Fact) -> None:
    data = fact.data
    if fact.type == "allotment-granted":
        table.allotted += data["quantity"]
        if not data["quantity"]:  # a new lease for what had lapsed
            table.allotted, table.unconfirmed = table.allotted + table.unconfirmed, 0
    elif fact.type == "allotment-returned":
        table.give_back(data["returned_total"] - table.returned)
    else:
        table.unconfirmed += data["quantity"]
        table.allotted -= data["quantity"]
    table.granted, table.returned = data["granted_total"], data["returned_total"]
    if data["lease_until"]:
        table.lease = datetime.fromisoformat(data["lease_until"])
