"""Any order of commands and facts, repeated at will: stock adds up, promises are kept, facts are never refused."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts.envelope import Event
from contracts.events.inventory import ClaimsExceeded, Place, StockRefused, StockReserved
from contracts.events.orders import OrderCollected, OrderReturned
from contracts.values import Fulfilment
from services.inventory.domain import count as counting
from services.inventory.domain.allocation import Grant, allocate, demand
from services.inventory.domain.allotment import NotAvailable
from services.inventory.domain.lot import gone
from services.inventory.domain.reservation import ReservationState
from services.inventory.domain.shortfall import Claimant, cover
from services.inventory.domain.stock import Stock, fold
from tests.unit.inventory_world import (
    POOL,
    World,
    commit,
    lines,
    loaded,
    name,
    of,
    order_of,
    release,
    reserve,
    returned,
    sale,
    session_closed,
    void,
)

ITEMS = st.sampled_from(["oil-tofu", "oil-tofu", "honey"])
PICKS = st.integers(0, 10_000)
TERMINALS = st.sampled_from(["t1", "t1", "t1", "t2"])
SOME = st.integers(1, 12)
GOODS = st.lists(st.tuples(ITEMS, SOME), min_size=1, max_size=3)

Goods = list[tuple[str, int]]


class Market(RuleBasedStateMachine):
    """One pool. Every message that it got may be delivered again at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.sent: list[Event] = []
        self.sales: list[tuple[UUID, str, Goods]] = []
        self.lot_count = self.reservation_count = 0

    def reservation(self, pick: int, *, active: bool = True) -> UUID:
        """Mostly one that is active, sometimes any, sometimes an unknown one."""
        known = [r.id for r in self.world.reservations.values() if r.active or not active or pick % 5 == 1]
        return name(f"unheard of {pick % 3}") if not known or pick % 11 == 0 else known[pick % len(known)]

    def new_reservation(self) -> UUID:
        self.reservation_count += 1
        return name(f"reservation {self.reservation_count}")

    def a_sale(self, pick: int) -> tuple[UUID, str, Goods]:
        """Mostly one that was made, sometimes one that has not been recorded yet."""
        if not self.sales or pick % 7 == 0:
            self.sales.append((name(f"sale {len(self.sales)}"), "t1", [("oil-tofu", 3)]))
            return self.sales[-1]
        return self.sales[pick % len(self.sales)]

    def shortfalls(self) -> dict[str, int]:
        return {stock.item: stock.shortfall for stock in self.world.stocks.values()}

    def promise(self, command: Event) -> list[Event]:
        """A command is answered once and never breaks another promise."""
        before = self.shortfalls()
        told = self.world.send(command)
        assert len(told) == 1
        assert all(short <= before.get(item, 0) for item, short in self.shortfalls().items())
        self.sent.append(command)
        return told

    def fact(self, event: Event) -> None:
        """A fact is recorded as it is, and a shortfall is published once for each item where it has grown."""
        before = self.shortfalls()
        told = self.world.send(event)
        exceeded = {e.item: e for e in of(ClaimsExceeded, told)}
        raised = {item for item, short in self.shortfalls().items() if short > before.get(item, 0)}
        assert exceeded.keys() == raised
        for item, found in exceeded.items():
            self.names_enough(item, found)
        self.sent.append(event)

    def names_enough(self, item: str, exceeded: ClaimsExceeded) -> None:
        standing = {
            r.id: demand(r.lines)[item] for r in self.world.reservations.values() if r.active and demand(r.lines)[item]
        }
        assert standing.keys() >= set(exceeded.reservations)
        named = sum(standing[id] for id in exceeded.reservations)
        assert named >= exceeded.shortfall or standing.keys() == set(exceeded.reservations)

    @initialize(lent=st.sampled_from([True, True, False]), minutes=st.integers(30, 600))
    def morning(self, lent: bool, minutes: int) -> None:
        for item in ("oil-tofu", "honey"):
            self.lot_comes(item, 15, 1.0, 4)
            self.lot_comes(item, 20, 0.8, 2)
            if lent:
                self.world.lend("t1", item, 12, minutes)

    @rule(item=ITEMS, quantity=st.integers(1, 60), share=st.floats(0, 1), hours=st.integers(1, 9))
    def lot_comes(self, item: str, quantity: int, share: float, hours: int) -> None:
        self.lot_count += 1
        self.world.receive(name(f"lot {self.lot_count}"), item, quantity, round(quantity * share), hours)

    @rule(pick=PICKS, goods=GOODS, firm=st.booleans(), partial=st.booleans(), again=st.sampled_from([0, 0, 0, 1]))
    def order_reserves(self, pick: int, goods: Goods, firm: bool, partial: bool, again: int) -> None:
        id = self.reservation(pick, active=False) if again else self.new_reservation()
        known = self.world.reservations.get(id)
        told = self.promise(reserve(id, *goods, firm=firm, mode="partial" if partial else "all"))
        if known and not known.active:
            assert isinstance(told[0], StockRefused)

    @rule(pick=PICKS, goods=GOODS, firm=st.booleans())
    def order_draws(self, pick: int, goods: Goods, firm: bool) -> None:
        self.promise(reserve(self.new_reservation(), *goods, firm=firm, source=self.reservation(pick)))

    @rule(pick=PICKS)
    def order_releases(self, pick: int) -> None:
        id = self.reservation(pick)
        self.promise(release(id))
        now = self.world.reservations.get(id)
        assert now
        assert not now.active

    @rule(pick=PICKS)
    def order_commits(self, pick: int) -> None:
        self.promise(commit(self.reservation(pick)))

    @rule(pick=PICKS, minutes=st.sampled_from([0, 1, 15]))
    def hold_is_due(self, pick: int, minutes: int) -> None:
        self.world.wait(minutes)
        id = self.reservation(pick)
        before = self.world.reservations.get(id)
        told = self.world.expire(id)
        assert not told or (before is not None and before.state is ReservationState.HELD)

    @rule(pick=PICKS, goods=GOODS, told=st.booleans(), late=st.booleans())
    def courier_loads(self, pick: int, goods: Goods, told: bool, late: bool) -> None:
        id = self.reservation(pick, active=not late)
        known = self.world.reservations.get(id)
        went = [(line.item, line.quantity) for line in known.lines] if known else goods
        self.fact(loaded(id, *(went if told else [])))

    @rule(pick=PICKS)
    def courier_returns(self, pick: int) -> None:
        out = [r.id for r in self.world.reservations.values() if r.state is ReservationState.LOADED]
        self.fact(returned(out[pick % len(out)] if out else self.reservation(pick)))

    @rule(pick=PICKS, goods=GOODS, collected=st.booleans())
    def pickup_ends(self, pick: int, goods: Goods, collected: bool) -> None:
        id = self.reservation(pick)
        known = self.world.reservations.get(id)
        went = list(known.lines) if known else lines(*goods)
        fact = {"order": order_of(id), "pool": POOL, "reservation": id, "lines": went}
        self.fact(OrderCollected(**fact) if collected else OrderReturned(**fact, fulfilment=Fulfilment.PICKUP))

    @rule(terminal=TERMINALS, item=ITEMS, quantity=SOME, minutes=st.integers(1, 60))
    def operator_lends(self, terminal: str, item: str, quantity: int, minutes: int) -> None:
        before = self.shortfalls().get(item, 0)
        if quantity > self.world.stock(POOL, item).available:
            with pytest.raises(NotAvailable):
                self.world.lend(terminal, item, quantity, minutes)
        else:
            self.world.lend(terminal, item, quantity, minutes)
        assert self.shortfalls().get(item, 0) == before

    @rule(terminal=TERMINALS, goods=GOODS)
    def stall_sells(self, terminal: str, goods: Goods) -> None:
        self.sales.append((name(f"sale {len(self.sales)}"), terminal, goods))
        self.fact(sale(*self.sales[-1][:2], *goods))

    @rule(pick=PICKS)
    def stall_voids(self, pick: int) -> None:
        id, terminal, goods = self.a_sale(pick)
        self.fact(void(id, terminal, *goods))

    @rule(terminal=TERMINALS, complete=st.sampled_from([True, True, False]))
    def session_ends(self, terminal: str, complete: bool) -> None:
        self.fact(session_closed(terminal, complete=complete))

    @rule(terminal=TERMINALS, item=ITEMS, quantity=st.integers(0, 12), counted=st.sampled_from([True, True, False]))
    def stall_gives_back(self, terminal: str, item: str, quantity: int, counted: bool) -> None:
        self.world.give_back(terminal, item, quantity, counted=counted)

    @rule(terminal=TERMINALS, item=ITEMS, minutes=st.sampled_from([0, 5, 90]), again=st.booleans())
    def lease_ends(self, terminal: str, item: str, minutes: int, again: bool) -> None:
        self.world.wait(minutes)
        self.world.lapse(terminal, item)
        if again:
            self.world.renew(terminal, item)

    @rule(item=ITEMS, quantity=SOME, read=st.booleans(), pick=PICKS)
    def goods_are_wasted(self, item: str, quantity: int, read: bool, pick: int) -> None:
        lots = [lot for lot in self.world.lots_of(POOL, item) if lot.released]
        lot = lots[pick % len(lots)] if read and lots else None
        self.world.waste(item, quantity, lot)

    @rule(item=ITEMS, difference=st.integers(-8, 8), read=st.booleans(), pick=PICKS)
    def goods_are_counted(self, item: str, difference: int, read: bool, pick: int) -> None:
        world = self.world
        lots = [lot for lot in world.lots_of(POOL, item) if lot.released]
        stock, before = world.stock(POOL, item), world.stock(POOL, item).on_hand
        if read and lots:
            lot = lots[pick % len(lots)]
            difference = max(difference, -lot.on_hand)
            world.apply(counting.count_lot(lot, difference, "count/1", world.inferred(item, lot.id), lots))
            after = world.lots.get(lot.id)
            assert after
            assert after.on_hand == lot.on_hand + difference
        else:
            world.apply(counting.count_item(stock, difference, "count/1", lots, world.inferred(item, None)))
            assert world.stock(POOL, item).on_hand == before + difference

    @precondition(lambda self: self.sent)
    @rule(pick=PICKS)
    def message_comes_again(self, pick: int) -> None:
        """Even past the inbox, under another id, a fact or the end of a claim takes effect once."""
        event = self.sent[pick % len(self.sent)]
        self.world.send(event)
        before = {stock.item: stock for stock in self.world.stocks.values()}
        self.world.send(event)
        assert {stock.item: stock for stock in self.world.stocks.values()} == before

    @invariant()
    def stock_is_the_fold_of_its_movements(self) -> None:
        folded = fold(self.world.moves)
        assert folded == {(stock.pool, stock.item): stock for stock in self.world.stocks.values()}
        for stock in folded.values():
            assert stock.available >= 0
            assert stock.available == 0 or stock.shortfall == 0
            assert stock.available == stock.on_hand - stock.claims + stock.shortfall

    @invariant()
    def every_lot_adds_up(self) -> None:
        out: Counter[tuple[str, str, UUID | None]] = Counter()
        for place in (Place.SOLD, Place.COURIER, Place.BUYER, Place.WASTE, Place.LOST):
            out.update(gone(self.world.moves, place))
        found: Counter[UUID | None] = Counter()
        for move in self.world.moves:
            if move.source is Place.FOUND:
                found[move.lot] += move.quantity
        for lot in self.world.lots.values():
            assert lot.on_hand >= 0
            assert lot.released + found[lot.id] == lot.on_hand + out[lot.pool, lot.item, lot.id]
            assert lot.released + lot.rejected == lot.received

    @invariant()
    def claims_are_what_they_are_made_of(self) -> None:
        sums: dict[str, Counter[str]] = {}
        for r in self.world.reservations.values():
            for item, quantity in demand(r.lines).items() if r.active else ():
                sums.setdefault(item, Counter())[r.bucket] += quantity
        for a in self.world.allotments.values():
            sums.setdefault(a.item, Counter()).update({"allotted": a.allotted, "unconfirmed": a.unconfirmed})
            assert a.granted - a.returned - (a.sold - a.overdrawn) - a.lost == a.lent
            assert min(a.lost, a.overdrawn, a.allotted, a.unconfirmed) >= 0
        for stock in self.world.stocks.values():
            have = sums.get(stock.item, Counter())
            assert (stock.held, stock.allocated) == (have["held"], have["allocated"])
            assert (stock.allotted, stock.unconfirmed) == (have["allotted"], have["unconfirmed"])


TestMarket = Market.TestCase
TestMarket.settings = settings(max_examples=250, stateful_step_count=40, deadline=None)


@given(on_hand=st.integers(0, 30), asks=st.lists(st.tuples(GOODS, st.booleans()), max_size=20))
def test_allocation_is_by_arrival_and_never_beyond_what_there_is(
    on_hand: int, asks: list[tuple[list[tuple[str, int]], bool]]
) -> None:
    left = Counter({"oil-tofu": on_hand, "honey": on_hand})
    for goods, partial in asks:
        stock = {item: Stock(POOL, item, on_hand=quantity) for item, quantity in left.items()}
        wanted = demand(lines(*goods))
        answer = allocate(stock, lines(*goods), partial=partial)
        if isinstance(answer, Grant):
            given = demand(answer.lines)
            assert given == wanted or partial
            assert all(given[item] == min(wanted[item], left[item]) for item in wanted)
            left.subtract(given)
        else:
            enough = all(wanted[item] <= left[item] for item in wanted)
            assert not enough or not any(left[item] for item in wanted)
    assert min(left.values()) >= 0


def test_a_reserve_that_stands_is_confirmed_and_claims_once() -> None:
    world = World()
    world.receive(name("lot"), "honey", 5)
    first = world.send(reserve(name("r"), ("honey", 3)))
    assert of(StockReserved, world.send(reserve(name("r"), ("honey", 3)))) == first
    assert world.figures("honey")[2] == 3


@given(shortfall=st.integers(0, 30), claims=st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=8))
def test_a_shortfall_falls_on_the_fewest_newest_claims_holds_first(
    shortfall: int, claims: list[tuple[bool, int]]
) -> None:
    claimants = [Claimant(name(f"r{n}"), name(f"o{n}"), held, n, q) for n, (held, q) in enumerate(claims)]
    named = cover(shortfall, claimants)
    in_order = [c for c in sorted(claimants, key=lambda c: (not c.held, -c.no)) if c.quantity]
    assert named == in_order[: len(named)]
    assert sum(c.quantity for c in named) >= shortfall or named == in_order
    assert not named or sum(c.quantity for c in named[:-1]) < shortfall
