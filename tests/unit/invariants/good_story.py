"""The story of a small market in which every invariant holds."""

from __future__ import annotations

import json

from contracts.topics import DISPATCH, INVENTORY, ORDERS
from tests.unit.invariants.story import (
    CLAIMS,
    EGGS,
    MILK,
    NOON,
    POOL,
    PRICE_FEN,
    TILL,
    Story,
    id,
    job,
    lines,
    reservation,
)


def good_story() -> Story:
    """Thirteen eggs: six delivered, three collected, one sold at a stall (another sale was voided), three for a
    group-buy. One order was rejected, one cancelled, one expired; one lost its milk to waste.
    """
    story = Story()
    story.receive(13, EGGS)
    story.receive(2, MILK)
    _stall(story)
    _cancelled(story)
    _delivered(story)
    _collected(story, "c", 3)
    _rejected(story)
    _expired(story)
    _short(story)
    _group_buy(story)
    _show(story)
    return story


def _stall(story: Story) -> None:
    totals = {"granted_total": 1, "returned_total": 0}
    more = {"terminal": TILL, "pool": POOL, "item": EGGS}
    story.publish(
        "inventory.stock.v1", "allotment-granted", TILL, **more, **totals, quantity=1, lease_until=NOON, version=1
    )
    story.row(ORDERS, "terminal_allotment", **more, **totals, version=1)
    story.row(INVENTORY, "allotment", **more, granted=1, returned=0, allotted=0, unconfirmed=0, version=1)
    story.move("free", "allotted", 1, f"allotment/{TILL}")
    number = {"terminal": TILL, "pool": POOL, "device": "dev", "session": "s"}
    uploads = [
        {"seq": seq, "kind": kind, "lines": [[EGGS, 1]] * (kind == "sale")}
        for seq, kind in enumerate(("sale", "void", "sale"), 1)
    ]
    story.did("stall", TILL, device="dev", session="s", uploads=uploads)
    for seq, type, name in ((1, "sale-recorded", "s1"), (2, "sale-voided", "s1"), (3, "sale-recorded", "s2")):
        sale = id(name)
        story.publish("orders.stall.v1", type, TILL, **number, sale=sale, seq_no=seq, lines=lines(1))
        if type == "sale-recorded":
            story.row(ORDERS, "stall_sale", sale=sale, terminal=TILL, pool=POOL)
            story.row(ORDERS, "stall_sale_line", sale=sale, item=EGGS, quantity=1)
            story.row(INVENTORY, "sale", id=sale, terminal=TILL, pool=POOL, voided=name == "s1")
            story.move("on_hand", "sold", 1, f"sale/{sale}")
            story.move("allotted", "free", 1, f"sale/{sale}")
        else:
            story.move("sold", "on_hand", 1, f"sale/{sale}")
            story.move("free", "allotted", 1, f"sale/{sale}")


def _cancelled(story: Story) -> None:
    story.place("x", 3, "delivery")
    story.reserve("x", 3)
    story.order("x", "reserved", reservation=reservation("x"))
    story.schedule("x", 3)
    about = {"order": id("x"), "reservation": reservation("x"), "pool": POOL}
    cause = story.publish("dispatch.command.v1", "cancel-delivery", id("x"), **about)
    story.release("x", 3, cause=story.job("x", "cancelled", 3, cause))
    story.order("x", "cancelled")
    story.refund("x")


def _delivered(story: Story) -> None:
    story.place("d", 6, "delivery")
    story.reserve("d", 6)
    story.order("d", "reserved", reservation=reservation("d"))
    story.schedule("d", 6)
    story.job("d", "loaded", 6)
    story.hand_out("d", 6, "courier")
    story.order("d", "loaded")
    story.job("d", "delivered", 6)
    story.did("courier", "rider", uploads=[[1, "load", job("d")], [2, "deliver", job("d")]])
    story.order("d", "delivered")
    story.find(ORDERS, "payment", order_id=id("d"))["payment_id"] = "bank:order"
    story.receipt("order", id("d"))
    story.receipt("lost", None)


def _collected(story: Story, name: str, quantity: int) -> None:
    if name == "c":
        story.place("c", quantity)
        story.reserve("c", quantity)
        story.order("c", "reserved", reservation=reservation("c"))
    story.did("collect", id(name))
    story.order(name, "collected", pool=POOL, lines=lines(quantity))
    story.hand_out(name, quantity, "buyer")


def _rejected(story: Story) -> None:
    story.place("r", 5)
    story.answer("r", "stock-refused", story.command("r", "reserve-stock", firm=True, lines=lines(5)))
    story.row(INVENTORY, "reservation", id=reservation("r"), pool=POOL, order_id=id("r"), state="refused")
    story.order("r", "rejected")
    story.refund("r")


def _expired(story: Story) -> None:
    story.place("h", 1)
    story.reserve("h", 1, firm=False)
    story.order("h", "held")
    story.answer("h", "reservation-expired", "", lines=lines(1))
    story.find(INVENTORY, "reservation", id=reservation("h"))["state"] = "expired"
    story.move("held", "free", 1, f"reservation/{reservation('h')}")
    story.order("h", "expired")
    story.refund("h")


def _short(story: Story) -> None:
    story.place("m", 2, item=MILK)
    story.reserve("m", 2, MILK)
    story.order("m", "reserved", reservation=reservation("m"))
    story.move("on_hand", "waste", 1, "waste/1", MILK, reason="spoiled")
    exceeded = {"shortfall": 1, "reservations": [reservation("m")], "orders": [id("m")]}
    story.publish(
        "inventory.stock.v1", "claims-exceeded", f"{POOL}/{MILK}", "cause of waste/1", pool=POOL, item=MILK, **exceeded
    )
    story.release("m", 2, MILK)
    story.order("m", "cancelled")
    story.refund("m")


def _group_buy(story: Story) -> None:
    campaign = id("g")
    about = {"campaign": campaign}
    topic = "orders.campaign.v1"
    story.publish(topic, "campaign-opened", campaign, **about, goods=[{"item": EGGS, "cap": 3}])
    for n, (name, quantity) in enumerate((("j1", 1), ("j2", 3)), 1):
        data = {"join": id(name), "lines": lines(quantity), "total_fen": PRICE_FEN, "n": n}
        story.did("join", id(name))
        story.publish(topic, "join-accepted", campaign, **about, **data)
        row = story.row(ORDERS, "campaign_join", join_id=id(name), campaign_id=campaign, total_fen=PRICE_FEN)
        row |= {"payment": "prepaid", "lines": json.dumps(lines(quantity)), "receipt": None}
        if name == "j1":
            story.publish(topic, "join-refunded", campaign, **about, join=id(name), amount_fen=PRICE_FEN)
            row |= {"state": "withdrawn", "refunded_fen": PRICE_FEN, "granted": None, "receipt": "bank:join"}
            story.receipt("join", id(name))
        else:
            row |= {"state": "ordered", "refunded_fen": 0, "granted": "[3]"}
    story.publish(topic, "campaign-cut", campaign, **about)
    story.reserve("g", 3)
    story.publish(topic, "campaign-formed", campaign, **about)
    story.place("o", 3, join_id=id("j2"))
    story.reserve("o", 3, source=reservation("g"))
    story.order("o", "reserved", reservation=reservation("o"))
    story.release("g", 0)
    story.rows[INVENTORY, "reservation_line"].remove(
        story.find(INVENTORY, "reservation_line", reservation=reservation("g"))
    )
    story.row(ORDERS, "campaign", campaign_id=campaign, pool=POOL, state="formed", unsettled=0, settled=True)
    story.row(ORDERS, "campaign_tally", campaign_id=campaign, joined=2, standing=1, pledged='{"eggs": 3}')
    _collected(story, "o", 3)


def _show(story: Story) -> None:
    """Add the rows that sum up the movements, and the views."""
    moves = story.rows[INVENTORY, "movement"]
    for lot in story.rows[INVENTORY, "lot"]:
        mine = [move for move in moves if move["lot"] == lot["id"]]
        lot["on_hand"] = sum(((m["target"] == "on_hand") - (m["source"] == "on_hand")) * m["quantity"] for m in mine)
        row = {
            "pool": POOL,
            "item": lot["item"],
            "on_hand": lot["on_hand"],
            "available": lot["on_hand"],
            "closed": False,
        }
        story.row(INVENTORY, "stock", **row, shortfall=0, **dict.fromkeys(CLAIMS, 0))
        story.views.stock[POOL, lot["item"]] = dict(row, held=0, allocated=0, shortfall=0)  # type: ignore[index]
    for order in story.rows[ORDERS, "orders"]:
        story.views.orders[order["order_id"]] = dict(order)  # type: ignore[index]
    for row in story.rows[DISPATCH, "job"]:
        story.views.jobs[row["id"]] = dict(row)  # type: ignore[index]
