"""The golden example of stock, as records of the topic, through the audit's own fold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

from deploy.audit.invariants.facts import Fact
from deploy.audit.invariants.stock_log import TOPIC, Context, Pool, replay

POOL, ITEM, TILL = "sat@square", "oil-tofu", "till"
NOON = "2026-05-16T04:00:00+00:00"
_numbers = count(1)


def fact(type: str, subject: str, **data: Any) -> Fact:
    """A record of the stock topic, made by a cause of its own."""
    id = f"fact-{next(_numbers)}"
    content = {"pool": POOL, "item": ITEM, **data}
    return Fact(id, type, TOPIC, subject, content, id, time=NOON, cause=f"cause of {id}")


def moved(source: str, target: str, quantity: int, cause: str) -> Fact:
    """A physical movement of the one lot."""
    return fact(
        "stock-moved", f"{POOL}/{ITEM}", lot="lot", from_place=source, to_place=target, quantity=quantity, cause=cause
    )


def lent(type: str, quantity: int, granted: int, returned: int) -> Fact:
    """A change of the till's allotment."""
    return fact(type, TILL, quantity=quantity, granted_total=granted, returned_total=returned, lease_until=NOON)


def reserved(reservation: str, quantity: int, *, firm: bool) -> Fact:
    """A granted claim."""
    return fact("stock-reserved", reservation, firm=firm, lines=[{"item": ITEM, "quantity": quantity}])


# on hand / held / allocated / allotted / unconfirmed / shortfall / available, after each record
GOLDEN: tuple[tuple[Fact, tuple[int, ...] | None], ...] = (
    (moved("intake", "on_hand", 100, "lot/lot"), (100, 0, 0, 0, 0, 0, 100)),
    (lent("allotment-granted", 30, 30, 0), (100, 0, 0, 30, 0, 0, 70)),
    (reserved("firm", 50, firm=True), None),
    (reserved("hold", 15, firm=False), (100, 15, 50, 30, 0, 0, 5)),
    (moved("on_hand", "sold", 12, "sale/1"), (88, 15, 50, 18, 0, 0, 5)),
    (lent("allotment-lapsed", 18, 30, 0), (88, 15, 50, 0, 18, 0, 5)),
    (moved("on_hand", "sold", 10, "sale/2"), (78, 15, 50, 0, 8, 0, 5)),
    (moved("on_hand", "sold", 14, "sale/3"), (64, 15, 50, 0, 0, 1, 0)),
    (fact("reservation-released", "hold", quantity=15), (64, 0, 50, 0, 0, 0, 14)),
    (moved("on_hand", "courier", 50, "reservation/firm"), (14, 0, 0, 0, 0, 0, 14)),
    (moved("found", "on_hand", 2, "return/1"), None),
    (lent("allotment-returned", 2, 30, 0), (16, 0, 0, 0, 0, 0, 16)),
)
SALES = Context({"1": TILL, "2": TILL, "3": TILL}, {})


def fold(*facts: Fact) -> Iterator[Pool]:
    """The pool after each record."""
    for _, pool, _ in replay(facts, SALES):
        yield pool


def test_the_golden_example() -> None:
    for pool, (told, figures) in zip(fold(*(told for told, _ in GOLDEN)), GOLDEN, strict=True):
        if figures is not None:
            assert tuple(pool.figures(ITEM).values()) == figures, told
        assert not pool.risen


def test_a_promise_of_what_is_not_there_is_seen() -> None:
    pools = fold(moved("intake", "on_hand", 10, "lot/lot"), reserved("a", 8, firm=True), reserved("b", 3, firm=True))
    assert [dict(pool.risen) for pool in pools] == [{}, {}, {ITEM: 1}]


def test_a_claim_that_is_confirmed_again_counts_once() -> None:
    told = (moved("intake", "on_hand", 10, "lot/lot"), *(reserved("a", 8, firm=True) for _ in range(2)))
    assert list(fold(*told))[-1].figures(ITEM)["allocated"] == 8


def test_a_correction_of_lots_moves_no_claim() -> None:
    *_, before = fold(*(told for told, _ in GOLDEN[:5]))
    pair = [moved("sold", "on_hand", 12, "sale/1"), moved("on_hand", "sold", 12, "sale/1")]
    together = [replace(fact, cause="count") for fact in pair]
    *_, after = fold(*(told for told, _ in GOLDEN[:5]), *together)
    assert after.figures(ITEM) == before.figures(ITEM)
