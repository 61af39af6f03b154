"""One way or more to break each invariant: its name, the check that a finding names, and the damage to the story."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from contracts.topics import DISPATCH, INVENTORY, ORDERS
from deploy.audit.invariants.facts import Outcome
from tests.unit.invariants.story import EGGS, MILK, POOL, PRICE_FEN, TILL, Story, id, job, lines, reservation

Damage = Callable[[Story], Any]


def row(service: str, table: str, where: dict[str, Any], **changed: Any) -> Damage:
    """Return a change of columns of a row."""
    return lambda story: story.find(service, table, **where).update(changed)


def gone(service: str, table: str, **where: Any) -> Damage:
    """Return the loss of a row."""
    return lambda story: story.rows[service, table].remove(story.find(service, table, **where))


def dropped(type: str, subject: str | None = None) -> Damage:
    """Return the loss of an event."""
    return lambda story: story.drop(type, subject)


def again(type: str, **fields: Any) -> Damage:
    """Return the publication of the same fact as a new event."""
    return lambda story: story.again(type, **fields)


def changed(type: str, subject: str | None = None, **fields: Any) -> Damage:
    """Return an event with other fields."""
    return lambda story: story.change(type, subject, **fields)


def outcome(kind: str, subject: str, value: Outcome) -> Damage:
    """Return another outcome of a client's operation."""

    def change(story: Story) -> None:
        found = (e for e in story.entries if (e.operation.kind, e.operation.subject) == (kind, subject))
        next(found).outcome = value

    return change


def copied(**fields: Any) -> Damage:
    """Return a second copy of the first record, with other fields."""
    return lambda story: story.log.append(replace(story.log[0], where="x/0@999", **fields))


def swapped(story: Story) -> None:
    """Exchange two records of an order."""
    mine = [n for n, fact in enumerate(story.log) if fact.subject == id("d") and fact.topic == "orders.order.v1"]
    story.log[mine[0]], story.log[mine[1]] = story.log[mine[1]], story.log[mine[0]]


def released_late(story: Story) -> None:
    """Publish the release of a reservation only after others were granted its stock."""
    story.log.append(story.drop("reservation-released"))


def released_early(story: Story) -> None:
    """Release the stock of a delivery before its job is cancelled."""
    n = story.first("release-stock", reservation("x"))
    story.log[n] = replace(story.log[n], cause="a request")


def answered_twice(story: Story) -> None:
    """Publish two answers to one command."""
    story.again("stock-refused")


def joined_late(story: Story) -> None:
    """Accept a join that exceeds the cap."""
    about = {"campaign": id("g"), "join": id("j3"), "lines": lines(1), "total_fen": 100, "n": 3}
    accepted = story.first("join-accepted") + 2
    story.publish("orders.campaign.v1", "join-accepted", id("g"), **about)
    story.log.insert(accepted, story.log.pop())


def moved_for_nothing(story: Story) -> None:
    """Move the goods of a reservation to the courier once more."""
    story.move("on_hand", "courier", 1, f"reservation/{reservation('d')}")


def unknown_order(story: Story) -> None:
    """Publish an order that no client requested."""
    ghost = {"lines": lines(1), "payment": "on_account", "fulfilment": "pickup", "total_fen": 1, "pool": POOL}
    story.publish("orders.order.v1", "order-placed", id("ghost"), order=id("ghost"), **ghost)


def view(kind: str, key: Any, **columns: Any) -> Damage:
    """Return another row in a view."""
    return lambda story: getattr(story.views, kind)[key].update(columns)


def each(name: str, check: str, *damages: Damage) -> list[tuple[str, str, Damage]]:
    """Return a case for each damage."""
    return [(name, check, damage) for damage in damages]


DELIVERED, CANCELLED = {"order_id": id("d")}, {"order_id": id("x")}
DAMAGES: list[tuple[str, str, Damage]] = [
    *each("events.one_content", "content", copied(content="other"), copied(seq=9), copied(topic="orders.order.v1")),
    *each("events.numbered", "seq", swapped, dropped("order-reserved"),
          lambda s: s.log.append(replace(s.log[0], id="new"))),
    ("events.published_once", "duplicate job-loaded", again("job-loaded")),
    ("events.published_once", "duplicate end of a job", again("job-delivered")),
    ("events.published_once", "duplicate handover", again("order-collected")),
    ("events.published_once", "duplicate order-reserved", again("order-reserved")),
    ("events.published_once", "duplicate sale-recorded", again("sale-recorded", seq_no=9)),
    ("events.published_once", "duplicate verdict", again("campaign-formed")),
    ("events.answered_once", "answer", answered_twice),
    *each("events.answered", "answer", dropped("stock-refused"), dropped("job-planned", job("d"))),
    ("events.no_dead_letters", "dead letter", lambda s: s.views.dead_letters.append("inventory: a record")),
    ("events.no_dead_letters", "dead letter", lambda s: s.publish("orders.dlq.v1", "poison", "scope")),
    ("events.no_dead_letters", "dead letter", lambda s: s.row(ORDERS, "parked", scope="s", consumer="c", error="e")),
    *each("orders.known", "order", dropped("order-placed"), gone(ORDERS, "orders", **DELIVERED),
          row(ORDERS, "order_line", DELIVERED, quantity=7), row(ORDERS, "orders", DELIVERED, total_fen=7)),
    *each("orders.lives", "order", row(ORDERS, "orders", DELIVERED, state="returned"),
          row(ORDERS, "orders", DELIVERED, attempt=2),
          gone(ORDERS, "order_history", order_id=id("d"), n=2), dropped("order-loaded"),
          row(ORDERS, "order_history", {"order_id": id("r"), "n": 1}, to_state="failed")),
    *each("orders.ends_once", "ended twice", lambda s: s.order("c", "cancelled"), lambda s: s.order("d", "ready")),
    ("orders.ended", "end", dropped("order-collected")),
    ("orders.not_lost", "lost order", dropped("order-placed", id("c"))),
    ("orders.not_lost", "refused order exists", outcome("place", id("d"), Outcome.FAIL)),
    ("orders.not_lost", "unknown order", unknown_order),
    ("orders.as_requested", "other content", changed("order-placed", id("d"), lines=lines(9))),
    ("orders.as_requested", "other content", changed("order-placed", id("d"), payment="on_account")),
    ("orders.as_requested", "answers differ", lambda s: setattr(
        s.did("place", id("d"), lines=[[EGGS, 6]], payment="prepaid", fulfilment="delivery"), "answer", {"hash": "x"})),
    ("orders.as_requested", "altered repeat accepted", lambda s: s.did("altered", id("d"))),
    *each("orders.shown", "views differ", lambda s: s.views.orders.pop(id("c")),
          view("orders", id("c"), state="ready")),
    ("orders.have_stock", "reservation", row(ORDERS, "orders", {"order_id": id("x")}, state="reserved")),
    *each("money.refunds", "money", gone(ORDERS, "refund", **CANCELLED), dropped("order-refunded", id("x")),
          row(ORDERS, "refund", CANCELLED, amount_fen=101), row(ORDERS, "orders", CANCELLED, refunded_fen=0),
          row(ORDERS, "orders", DELIVERED, paid_fen=7)),
    ("money.given_back", "money", row(ORDERS, "orders", CANCELLED, refunded_fen=0)),
    ("money.refunded_once", "duplicate refund", again("order-refunded")),
    *each("money.receipts", "money", row(ORDERS, "receipt", {"transaction_id": "lost"}, pays=id("c")),
          row(ORDERS, "payment", CANCELLED, payment_id="bank:order"),
          row(ORDERS, "receipt", {"transaction_id": "join"}, amount_fen=PRICE_FEN - 1),
          lambda s: s.row(ORDERS, "refund", order_id=id("d"), payment_id="bank:order", amount_fen=PRICE_FEN + 1)),
    ("money.exact", "missing refund", dropped("order-refunded")),
    ("money.exact", "missing refund", lambda s: s.did("pay", id("d"), payment="p2")),
    ("money.exact", "kept order refunded", lambda s: s.refund("c")),
    ("money.exact", "refund of nothing", again("order-refunded", payment="other")),
    ("money.shown", "views differ", view("orders", id("x"), refunded_fen=0)),
    ("money.shown", "lost payment", view("orders", id("c"), paid_fen=0)),
    *each("reservations.agree", "reservation",
          row(INVENTORY, "reservation", {"id": reservation("d")}, state="released"),
          row(INVENTORY, "reservation_line", {"reservation": reservation("d")}, quantity=5),
          row(ORDERS, "orders", DELIVERED, state="returned")),
    *each("reservations.needed", "reservation", row(INVENTORY, "reservation", {"id": reservation("g")}, state="firm"),
          lambda s: s.row(INVENTORY, "reservation", id="z", pool=POOL, order_id="z", state="held")),
    *each("reservations.one_an_attempt", "duplicate reservation", again("stock-reserved"),
          lambda s: s.publish("inventory.stock.v1", "stock-reserved", "second", pool=POOL, order=id("d"),
                              reservation="second", firm=True, lines=[])),
    ("reservations.firm_never_expires", "reservation",
     lambda s: s.answer("d", "reservation-expired", "", lines=lines(6))),
    ("reservations.released_after_delivery", "reservation", released_early),
    *each("reservations.goods_left_once", "movement", moved_for_nothing,
          row(INVENTORY, "movement", {"target": "buyer"}, cause="reservation/other"),
          row(INVENTORY, "reservation", {"id": reservation("c")}, state="loaded")),
    *each("deliveries.agree", "job", row(DISPATCH, "job", DELIVERED, state="loaded"),
          row(DISPATCH, "job", DELIVERED, wave="w9"),
          row(DISPATCH, "job", DELIVERED, lines="[]"), gone(DISPATCH, "job", **DELIVERED)),
    ("deliveries.needed", "job",
     lambda s: s.row(DISPATCH, "job", id="z", order_id=id("x"), reservation="z", state="planned")),
    *each("deliveries.ended_alike", "orders and jobs differ", dropped("job-delivered"), dropped("order-delivered")),
    ("deliveries.reported", "lost delivery", dropped("job-delivered")),
    ("deliveries.reported", "lost handover", dropped("order-collected")),
    ("deliveries.shown", "views differ", view("jobs", job("d"), state="loaded")),
    *each("stock.movements", "stock", row(INVENTORY, "stock", {"item": MILK}, on_hand=2, available=2),
          row(INVENTORY, "stock", {"item": EGGS}, shortfall=1), gone(INVENTORY, "movement", target="waste"),
          gone(INVENTORY, "stock", item=MILK), row(INVENTORY, "movement", {"target": "waste"}, target="free")),
    *each("stock.claims", "stock", row(INVENTORY, "stock", {"item": EGGS}, allocated=1),
          row(INVENTORY, "reservation", {"id": reservation("x")}, state="firm"),
          row(INVENTORY, "allotment", {"terminal": TILL}, unconfirmed=1)),
    *each("stock.topic", "stock", row(INVENTORY, "stock", {"item": EGGS}, allocated=1),
          row(INVENTORY, "stock", {"item": EGGS}, closed=True), gone(INVENTORY, "stock", item=MILK),
          dropped("reservation-released", reservation("x"))),
    *each("stock.physical", "movement", gone(INVENTORY, "movement", target="waste"), dropped("stock-moved"),
          row(INVENTORY, "movement", {"target": "waste"}, reason="theft")),
    *each("stock.promises", "promise", changed("stock-reserved", reservation("d"), lines=lines(500)), released_late),
    *each("stock.shortfalls", "promise", dropped("claims-exceeded"), changed("claims-exceeded", shortfall=2),
          changed("claims-exceeded", reservations=[], waiting=0)),
    *each("stock.flows", "movements differ", lambda s: s.move("on_hand", "sold", 1, "sale/x"),
          changed("order-collected", lines=lines(9)), dropped("job-loaded")),
    ("stock.shown", "views differ", view("stock", (POOL, MILK), on_hand=2)),
    ("stock.shown", "reservations left", view("stock", (POOL, MILK), held=2)),
    *each("lots.balance", "lot", row(INVENTORY, "lot", {"item": EGGS}, on_hand=1), gone(INVENTORY, "lot", item=EGGS),
          row(INVENTORY, "lot", {"item": EGGS}, received=14), changed("lot-released", quantity=1)),
    *each("lots.movements", "lot", row(INVENTORY, "lot", {"item": EGGS}, on_hand=1),
          row(INVENTORY, "movement", {"target": "waste"}, lot=None)),
    *each("lots.unattributed", "lot", row(INVENTORY, "lot", {"item": EGGS}, on_hand=1),
          row(INVENTORY, "movement", {"target": "waste"}, lot=None)),
    *each("sales.once", "sale", gone(ORDERS, "stall_sale_line", sale=id("s2")), gone(INVENTORY, "sale", id=id("s2")),
          row(INVENTORY, "sale", {"id": id("s1")}, voided=False), dropped("sale-recorded"),
          row(INVENTORY, "movement", {"cause": f"sale/{id('s2')}"}, quantity=2)),
    ("sales.allotments", "allotment", row(ORDERS, "terminal_allotment", {"terminal": TILL}, granted_total=3)),
    ("sales.uploaded", "lost sale", dropped("sale-recorded")),
    ("sales.uploaded", "lost void", dropped("sale-voided")),
    ("sales.uploaded", "unknown sale", again("sale-recorded", seq_no=9)),
    ("sales.uploaded", "duplicate sale", again("sale-recorded")),
    ("sales.uploaded", "other content", changed("sale-recorded", lines=lines(2))),
    *each("campaigns.lives", "campaign", row(ORDERS, "campaign", {}, state="failed"),
          row(ORDERS, "campaign_join", {"join_id": id("j2")}, state="pledged"),
          row(ORDERS, "campaign", {}, unsettled=1)),
    *each("campaigns.pledges", "join", gone(ORDERS, "campaign_join", join_id=id("j1")), dropped("join-refunded"),
          dropped("join-accepted"), row(ORDERS, "orders", {"order_id": id("o")}, total_fen=50),
          row(ORDERS, "orders", {"order_id": id("o")}, join_id=None), again("join-refunded"),
          row(ORDERS, "campaign_join", {"join_id": id("j2")}, refunded_fen=1),
          row(ORDERS, "campaign_join", {"join_id": id("j1")}, refunded_fen=0)),
    ("campaigns.within_caps", "campaign", joined_late),
    *each("campaigns.counted", "campaign", row(ORDERS, "campaign_tally", {}, joined=3), dropped("join-accepted"),
          row(ORDERS, "campaign_tally", {}, pledged="{}"), row(ORDERS, "campaign_tally", {}, standing=2)),
    *each("campaigns.shares", "join", row(ORDERS, "campaign_join", {"join_id": id("j2")}, granted="[4]"),
          row(ORDERS, "order_line", {"order_id": id("o")}, quantity=2)),
    ("campaigns.not_lost", "lost join", dropped("join-accepted")),
    *each("campaigns.settled", "end", row(ORDERS, "campaign", {}, settled=False),
          row(ORDERS, "campaign_join", {"join_id": id("j2")}, state="pledged")),
]  # fmt: skip
