"""A terminal's day has the same result in whatever order and portions it is uploaded."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from contracts.envelope import Event
from contracts.events import orders as o
from services.orders.domain.stall import Close, Open, Sale, Stall, StallUpload, Void, fold

AT = datetime(2024, 11, 2, 2, 0, tzinfo=UTC)


def day(sales: list[int], voided: set[int]) -> list[StallUpload]:
    """A session: a float, a sale for each amount, voids of some, and its manifest."""
    bodies: list[Any] = [Open(10_000)]
    bodies += [
        Sale(UUID(int=n), (o.SaleLine(item="honey", quantity=1, amount_fen=fen),)) for n, fen in enumerate(sales)
    ]
    bodies += [Void(UUID(int=n)) for n in sorted(voided) if n < len(sales)]
    bodies.append(Close(last_seq=len(bodies) + 1, cash_fen=1))
    return [StallUpload("stall-1", "sat@square", "d1", "s1", seq, AT, body) for seq, body in enumerate(bodies, 1)]


@st.composite
def uploaded(draw: st.DrawFn) -> tuple[list[StallUpload], list[list[StallUpload]]]:
    """A day, and the batches in which its uploads first arrived."""
    whole = day(draw(st.lists(st.integers(0, 5000), max_size=8)), draw(st.sets(st.integers(0, 7))))
    shuffled = draw(st.permutations(whole))
    cuts = sorted(draw(st.sets(st.integers(0, len(whole)), max_size=4)))
    edges = [0, *cuts, len(whole)]
    return whole, [list(shuffled[a:b]) for a, b in itertools.pairwise(edges)]


def run(batches: list[list[StallUpload]]) -> tuple[Stall, list[Event]]:
    stall, events, seen = Stall(), [], set[int]()
    for batch in batches:
        seen |= {upload.seq for upload in batch}
        through = next(n for n in range(len(seen) + 1) if n + 1 not in seen)
        stall, told = fold(stall, batch, {("d1", "s1"): through})
        events += told
    return stall, events


@given(uploaded())
def test_the_books_do_not_depend_on_the_order(given: tuple[list[StallUpload], list[list[StallUpload]]]):
    whole, batches = given
    stall, events = run(batches)
    expected, _ = run([whole])
    assert (stall.sales, stall.voids, stall.sessions) == (expected.sales, expected.voids, expected.sessions)
    sales = {upload.body.sale for upload in whole if isinstance(upload.body, Sale)}
    voids = {upload.body.sale for upload in whole if isinstance(upload.body, Void)}
    assert sorted(e.sale for e in events if isinstance(e, o.SaleRecorded)) == sorted(sales)
    assert sorted(e.sale for e in events if isinstance(e, o.SaleVoided)) == sorted(voids)


@given(uploaded())
def test_a_void_never_comes_before_its_sale_and_the_session_closes_complete(
    given: tuple[list[StallUpload], list[list[StallUpload]]],
):
    whole, batches = given
    _, events = run(batches)
    recorded: set[UUID] = set()
    for event in events:
        if isinstance(event, o.SaleRecorded):
            recorded.add(event.sale)
        if isinstance(event, o.SaleVoided):
            assert event.sale in recorded
    closings = [event for event in events if isinstance(event, o.SessionClosed)]
    assert [event.complete for event in closings] in ([True], [False, True])
    kept = {u.body.sale: u.body.total_fen for u in whole if isinstance(u.body, Sale)}
    voided = {u.body.sale for u in whole if isinstance(u.body, Void)}
    assert closings[-1].expected_fen == 10_000 + sum(fen for sale, fen in kept.items() if sale not in voided)


@given(uploaded(), st.lists(st.tuples(st.integers(0, 5000), st.booleans()), min_size=1, max_size=5))
def test_what_comes_after_a_complete_manifest_changes_no_figure(
    given: tuple[list[StallUpload], list[list[StallUpload]]], late: list[tuple[int, bool]]
):
    whole, batches = given
    stall, _ = run(batches)
    before = stall.sessions["d1", "s1"]
    bodies: list[Any] = []
    for n, (fen, undone) in enumerate(late, 100):
        sale = Sale(UUID(int=n), (o.SaleLine(item="honey", quantity=1, amount_fen=fen),))
        bodies += [sale, Void(sale.sale)] if undone else [sale]
    more = [
        StallUpload("stall-1", "sat@square", "d1", "s1", n, AT, body) for n, body in enumerate(bodies, len(whole) + 1)
    ]
    after, events = fold(stall, more, {("d1", "s1"): len(whole) + len(more)})
    adjusted = [event for event in events if isinstance(event, o.SessionAdjusted)]
    assert len(adjusted) == len(bodies)
    assert {event.close_seq for event in adjusted} == {len(whole)}
    kept = sum(fen for fen, undone in late if not undone)
    assert sum(event.amount_fen for event in adjusted) == kept
    session = after.sessions["d1", "s1"]
    assert replace(session, adjusted_fen=0) == before
    assert session.adjusted_fen == kept
    assert not any(isinstance(event, o.SessionClosed) for event in events)
