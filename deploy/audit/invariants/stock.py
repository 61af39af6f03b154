"""Stock rows, movements and topic agree; no more was promised than there was."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from contracts.topics import INVENTORY
from deploy.audit.finding import Finding
from deploy.audit.invariants.facts import Fact, Goods, Row, Tables, Topics, Views
from deploy.audit.invariants.invariant import Moment, invariant
from deploy.audit.invariants.stock_log import TOPIC, Pool, context, items_of, replay

_CLAIMS = ("held", "allocated", "allotted", "unconfirmed")
_PLACES = frozenset({"intake", "on_hand", "sold", "courier", "buyer", "waste", "found", "lost"})
_BUCKETS = {"held": "held", "firm": "allocated"}
"""The claim of a reservation in these states."""
_FLOWS: Mapping[str, Mapping[str, int]] = {
    "sold": {"sale-recorded": 1, "sale-voided": -1},
    "courier": {"job-loaded": 1, "job-returned": -1},
    "buyer": {"order-collected": 1},
}
"""The events of other services that bring goods to a place, or back."""


@invariant(Moment.ALWAYS)
def movements(tables: Tables) -> Iterator[Finding]:
    """A stock row is the sum of its movements, and its shortfall and available quantity follow from it."""
    sums: dict[Goods, Counter[str]] = defaultdict(Counter)
    for move in tables.rows(INVENTORY, "movement"):
        found = sums[move["pool"], move["item"]]
        found[move["target"]] += move["quantity"]
        found[move["source"]] -= move["quantity"]
    rows = {(row["pool"], row["item"]): row for row in tables.rows(INVENTORY, "stock")}
    for pool, item in sorted(sums.keys() | rows.keys()):
        found = sums.get((pool, item), Counter())
        claims = sum(found[name] for name in _CLAIMS)
        figures = {name: found[name] for name in ("on_hand", *_CLAIMS)}
        figures["shortfall"] = max(0, claims - found["on_hand"])
        figures["available"] = found["on_hand"] - claims + figures["shortfall"]
        yield from _same(pool, item, rows.get((pool, item)), figures, "movements", "inventory.movement")
        if left := sum(found[place] for place in _PLACES):
            yield Finding("stock", f"{pool}/{item}", f"{left} moved between a place and a claim", "inventory.movement")


def _same(
    pool: str, item: str, row: Row | None, figures: Mapping[str, int], name: str, where: str
) -> Iterator[Finding]:
    for column, figure in figures.items():
        kept = row[column] if row else 0
        if kept != figure:
            what = f"{column} is {kept} in the table, {figure} by the {name}"
            yield Finding("stock", f"{pool}/{item}", what, where)


@invariant(Moment.ALWAYS)
def claims(tables: Tables) -> Iterator[Finding]:
    """The claims of a stock row are those of its active reservations and allotments."""
    claimed: dict[Goods, Counter[str]] = defaultdict(Counter)
    active = {
        row["id"]: (row["pool"], _BUCKETS[row["state"]])
        for row in tables.rows(INVENTORY, "reservation")
        if row["state"] in _BUCKETS
    }
    for line in tables.rows(INVENTORY, "reservation_line"):
        if line["reservation"] in active:
            pool, bucket = active[line["reservation"]]
            claimed[pool, line["item"]][bucket] += line["quantity"]
    for lent in tables.rows(INVENTORY, "allotment"):
        names = ("allotted", "unconfirmed")
        claimed[lent["pool"], lent["item"]].update({name: lent[name] for name in names})
    rows = {(row["pool"], row["item"]): row for row in tables.rows(INVENTORY, "stock")}
    where = "inventory.reservation, inventory.allotment"
    for pool, item in sorted(claimed.keys() | rows.keys()):
        figures = {name: claimed[pool, item][name] for name in _CLAIMS}
        yield from _same(pool, item, rows.get((pool, item)), figures, "reservations and allotments", where)


@invariant(Moment.QUIET)
def topic(topics: Topics, tables: Tables) -> Iterator[Finding]:
    """The topic gives the same row: goods by movements, claims by reservations and allotments."""
    pools = {name: pool for name, pool, _ in _replay(topics)}
    for row in tables.rows(INVENTORY, "stock"):
        pool = pools.get(row["pool"], Pool())
        yield from _same(row["pool"], row["item"], row, pool.figures(row["item"]), "topic", TOPIC)
        if row["closed"] != pool.closed.get(row["item"], False):
            what = f"sold out is {row['closed']} in the table, not so by the topic"
            yield Finding("stock", f"{row['pool']}/{row['item']}", what, TOPIC)
    known = {(row["pool"], row["item"]) for row in tables.rows(INVENTORY, "stock")}
    for name, pool in pools.items():
        for item in sorted(set(pool.on_hand) - {item for owner, item in known if owner == name}):
            yield Finding("stock", f"{name}/{item}", "was published but has no row", TOPIC)


@invariant(Moment.QUIET)
def physical(topics: Topics, tables: Tables) -> Iterator[Finding]:
    """Every physical movement was published, and every published movement is a row with the same content."""
    names = ("pool", "item", "lot", "inferred", "source", "target", "quantity", "cause", "reason")
    rows = {
        row["id"]: tuple(row[name] for name in names)
        for row in tables.rows(INVENTORY, "movement")
        if row["source"] in _PLACES
    }
    fields = ("pool", "item", "lot", "inferred", "from_place", "to_place", "quantity", "cause", "reason")
    published = {fact.data["movement"]: tuple(fact.data[name] for name in fields) for fact in topics.of("stock-moved")}
    for id in sorted(rows.keys() | published.keys()):
        if rows.get(id) != published.get(id):
            what = f"is {rows.get(id, 'absent')} in the table, {published.get(id, 'absent')} in the topic"
            yield Finding("movement", id, what, "inventory.movement")


@invariant(Moment.ALWAYS)
def promises(topics: Topics) -> Iterator[Finding]:
    """At no position of the log was more promised than there was."""
    for name, pool, fact in _replay(topics):
        for item, rise in pool.risen.items():
            what = f"{fact.type} for {fact.subject} promised {rise} more than there was"
            yield Finding("promise", f"{name}/{item}", what, fact.where)


@invariant(Moment.ALWAYS)
def shortfalls(topics: Topics) -> Iterator[Finding]:
    """A fact that raises a shortfall is followed by its publication, which is exact and names claims that cover it."""
    known: Counter[Goods] = Counter()
    risen: dict[Goods, Fact] = {}
    for name, pool, fact in _replay(topics):
        for goods in [goods for goods, rise in risen.items() if goods[0] != name or rise.cause != fact.cause]:
            yield _unpublished(goods, risen.pop(goods))
        if fact.type == "claims-exceeded":
            goods = (name, fact.data["item"])
            risen.pop(goods, None)
            known[goods] = fact.data["shortfall"]
            yield from _named(name, pool, fact)
        for item in items_of(fact):
            if (short := pool.figures(item)["shortfall"]) <= known[name, item]:
                known[name, item] = short
                risen.pop((name, item), None)
            elif fact.type == "stock-moved":
                risen.setdefault((name, item), fact)
    yield from (_unpublished(goods, rise) for goods, rise in risen.items())


def _unpublished(goods: Goods, rise: Fact) -> Finding:
    what = f"claims exceed the stock since {rise.data['cause']}, and no claims-exceeded was published"
    return Finding("promise", "/".join(goods), what, rise.where)


def _named(name: str, pool: Pool, fact: Fact) -> Iterator[Finding]:
    item, published = fact.data["item"], fact.data["shortfall"]
    if (short := pool.figures(item)["shortfall"]) != published:
        what = f"a shortfall of {published} was published when it was {short}"
        yield Finding("promise", f"{name}/{item}", what, fact.where)
    of_item = {id: claim.goods[item] for id, claim in pool.claims.items() if claim.goods[item]}
    rest = of_item.keys() - set(fact.data["reservations"])
    covered = sum(of_item.values()) - sum(of_item[id] for id in rest)
    if covered < short - fact.data.get("waiting", 0) and rest:
        what = f"the reservations named for a shortfall of {short} cover {covered}, and {len(rest)} more claim it"
        yield Finding("promise", f"{name}/{item}", what, fact.where)


@invariant(Moment.QUIET)
def flows(topics: Topics) -> Iterator[Finding]:
    """The goods that were sold, loaded, returned and collected are those that moved."""
    moved: dict[str, Counter[Goods]] = defaultdict(Counter)
    for fact in topics.of("stock-moved"):
        goods, quantity = (fact.data["pool"], fact.data["item"]), fact.data["quantity"]
        moved[fact.data["to_place"]][goods] += quantity
        moved[fact.data["from_place"]][goods] -= quantity
    for place, types in _FLOWS.items():
        published: Counter[Goods] = Counter()
        for type, sign in types.items():
            for fact in topics.of(type):
                for line in fact.data["lines"]:
                    published[fact.data["pool"], line["item"]] += sign * line["quantity"]
        for goods in sorted(published.keys() | moved[place].keys()):
            if published[goods] != moved[place][goods]:
                what = f"{place}: {published[goods]} by the events, {moved[place][goods]} moved"
                yield Finding("movements differ", "/".join(goods), what, TOPIC)


@invariant(Moment.ENDED)
def shown(topics: Topics, views: Views) -> Iterator[Finding]:
    """The views show the goods on hand that the movements leave, and no reservation is left."""
    net: Counter[Goods] = Counter()
    for fact in topics.of("stock-moved"):
        sign = (fact.data["to_place"] == "on_hand") - (fact.data["from_place"] == "on_hand")
        net[fact.data["pool"], fact.data["item"]] += sign * fact.data["quantity"]
    for goods, row in views.stock.items():
        if row["on_hand"] != net[goods]:
            what = f"{net[goods]} by the movements, {row['on_hand']} in the view"
            yield Finding("views differ", "/".join(goods), what, "/v1/stock")
        left = {name: row[name] for name in ("held", "allocated", "shortfall") if row[name]}
        if left:
            yield Finding("reservations left", "/".join(goods), str(left), "/v1/stock")


def _replay(topics: Topics) -> Iterator[tuple[str, Pool, Fact]]:
    return replay(topics[TOPIC], context(topics))
