"""Tests of the checker: a consistent small market passes, and each kind of damage is detected and named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.checker import check
from tests.faults.evidence import Evidence, Views
from tests.faults.history import History, HistoryEntry, Operation, Outcome, read
from tests.faults.observer import ObservedRecord

POOL, ITEM = "day@site", "eggs"


@dataclass
class Story:
    """Events in order, with the clients' history and the views."""

    entries: list[HistoryEntry] = field(default_factory=list)
    log: list[ObservedRecord] = field(default_factory=list)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    on_hand: int = 0
    dead_letters: list[str] = field(default_factory=list)
    _seq: Counter[tuple[str, str]] = field(default_factory=Counter)

    def publish(self, topic: str, type: str, subject: str, **data: Any) -> ObservedRecord:
        """Append a record."""
        self._seq[topic, subject] += 1
        offset = len(self.log)
        record = ObservedRecord(
            topic, 0, offset, f"e{offset}", type, subject, self._seq[topic, subject], data, f"d{offset}"
        )
        self.log.append(record)
        return record

    def order(self, type: str, id: str, **data: Any) -> None:
        """Append an event of an order."""
        self.publish("orders.order.v1", type, id, order=id, **data)

    def stock(self, type: str, subject: str, **data: Any) -> None:
        """Append a record of the stock topic."""
        self.publish("inventory.stock.v1", type, subject, pool=POOL, **data)

    def move(self, source: str, target: str, quantity: int) -> None:
        """Append a movement of goods."""
        moved = {"from_place": source, "to_place": target, "quantity": quantity, "item": ITEM}
        self.stock("stock-moved", f"{POOL}/{ITEM}", **moved)
        self.on_hand += quantity if target == "on_hand" else -quantity

    def client_did(self, kind: str, subject: str, answer: dict[str, Any] | None = None, **data: Any) -> HistoryEntry:
        """Append an operation that its client knows to have succeeded."""
        operation = Operation(f"op{len(self.entries)}", kind, subject, data)
        self.entries.append(HistoryEntry(operation, Outcome.OK, answer or {"hash": "h"}, 1))
        return self.entries[-1]

    def evidence(self) -> Evidence:
        """Return the evidence of the whole story."""
        row = {"on_hand": self.on_hand, "held": 0, "allocated": 0, "shortfall": 0}
        views = Views(self.orders, self.jobs, {(POOL, ITEM): row}, self.dead_letters)
        return Evidence(self.entries, self.log, views, frozenset({ITEM}))

    def first_index(self, type: str, subject: str | None = None) -> int:
        """Return the index of the first record of a type."""
        return next(n for n, one in enumerate(self.log) if one.type == type and subject in {None, one.subject})


def lines(quantity: int) -> list[dict[str, Any]]:
    """Return order lines of the one item."""
    return [{"line": 1, "item": ITEM, "quantity": quantity}]


def consistent_story() -> Story:
    """Ten eggs are received: six delivered, one sold at a stall (another sale was voided), three collected; one more
    order got none and one was cancelled.
    """
    story = Story()
    story.move("intake", "on_hand", 10)
    story.stock("allotment-granted", "till", item=ITEM, quantity=1)
    request = {"lines": [[ITEM, 6]], "payment": "prepaid", "fulfilment": "delivery"}
    for id, quantity in (("d", 6), ("c", 3), ("r", 5), ("x", 3)):
        request = {"lines": [[ITEM, quantity]], "payment": "prepaid", "fulfilment": "delivery"}
        story.client_did("place", id, **request)
        story.order("order-placed", id, lines=lines(quantity), payment="prepaid", fulfilment="delivery")
        story.orders[id] = {"total_fen": 100, "paid_fen": 100, "refunded_fen": 0}
    cancelled(story)
    delivered(story)
    collected(story)
    story.stock("stock-refused", "res-r", reservation="res-r", order="r")
    end(story, "r", "rejected")
    refund(story, "r")
    stall(story)
    return story


def end(story: Story, id: str, state: str) -> None:
    """Append an order's last state, and show it in its view."""
    story.order(f"order-{state}", id, pool=POOL, lines=lines(3))
    story.orders[id]["state"] = state


def refund(story: Story, id: str) -> None:
    """Append the refund of an order."""
    story.order("order-refunded", id, payment="prepaid")
    story.orders[id]["refunded_fen"] = 100


def cancelled(story: Story) -> None:
    """Append three eggs reserved and released."""
    story.stock("stock-reserved", "res-x", reservation="res-x", order="x", lines=lines(3))
    story.client_did("cancel", "x")
    story.stock("reservation-released", "res-x", reservation="res-x", order="x", lines=lines(3))
    end(story, "x", "cancelled")
    refund(story, "x")


def delivered(story: Story) -> None:
    """Append six eggs delivered to a door."""
    story.stock("stock-reserved", "res-d", reservation="res-d", order="d", lines=lines(6))
    story.order("order-reserved", "d", reservation="res-d")
    for type in ("job-planned", "job-loaded", "job-delivered"):
        story.publish("dispatch.job.v1", type, "j", job="j", order="d", pool=POOL, lines=lines(6))
    story.move("on_hand", "courier", 6)
    story.client_did("courier", "rider", uploads=[[1, "load", "j"], [2, "deliver", "j"]])
    story.jobs["j"] = {"state": "delivered"}
    end(story, "d", "delivered")


def collected(story: Story) -> None:
    """Append three eggs collected."""
    story.stock("stock-reserved", "res-c", reservation="res-c", order="c", lines=lines(3))
    story.client_did("collect", "c")
    end(story, "c", "collected")
    story.move("on_hand", "buyer", 3)


def stall(story: Story) -> None:
    """Append a sale that was voided and one that was not."""
    number = {"terminal": "till", "device": "dev", "session": "s"}
    uploads = [
        {"seq": 1, "kind": "sale", "lines": [[ITEM, 1]]},
        {"seq": 2, "kind": "void", "lines": []},
        {"seq": 3, "kind": "sale", "lines": [[ITEM, 1]]},
    ]
    story.client_did("stall", "till", device="dev", session="s", uploads=uploads)
    for seq, type, sale in ((1, "sale-recorded", "s1"), (2, "sale-voided", "s1"), (3, "sale-recorded", "s2")):
        fact = {"sale": sale, "seq_no": seq, "pool": POOL, "lines": lines(1)}
        story.publish("orders.stall.v1", type, "till", **number, **fact)
        story.move(*(("sold", "on_hand", 1) if type == "sale-voided" else ("on_hand", "sold", 1)))


def drop(story: Story, type: str, subject: str | None = None) -> None:
    """Remove a record; later ones of its subject keep their numbers."""
    del story.log[story.first_index(type, subject)]


def publish_again(story: Story, type: str, **data: Any) -> None:
    """Append the same fact as a new event."""
    record = story.log[story.first_index(type)]
    story.publish(record.topic, record.type, record.subject, **{**record.data, **data})


def repeat_record(story: Story, **changed: Any) -> None:
    """Append the first record a second time."""
    story.log.append(replace(story.log[0], offset=99, **changed))


def swap(story: Story) -> None:
    """Exchange two records of an order."""
    mine = [n for n, record in enumerate(story.log) if record.subject == "d" and record.topic == "orders.order.v1"]
    story.log[mine[0]], story.log[mine[1]] = story.log[mine[1]], story.log[mine[0]]


def oversell(story: Story) -> None:
    """Append one grant more than there is stock."""
    story.stock("stock-reserved", "res-r", reservation="res-r", order="r", lines=lines(1))


def unsold(story: Story) -> None:
    """Receive one more egg that no one gets."""
    story.move("intake", "on_hand", 1)


def late_release(story: Story) -> None:
    """Release the cancelled order's reservation only after others were granted its stock."""
    record = story.log.pop(story.first_index("reservation-released"))
    story.log.append(record)


def unknown_order(story: Story) -> None:
    """Append an order that no client requested."""
    story.order("order-placed", "ghost", lines=lines(1), payment="on_account", fulfilment="pickup")
    story.order("order-rejected", "ghost")


def outcome(kind: str, value: Outcome, subject: str) -> Callable[[Story], None]:
    """Return a change that gives a client's operation another outcome."""

    def change(story: Story) -> None:
        entry = next(
            entry for entry in story.entries if (entry.operation.kind, entry.operation.subject) == (kind, subject)
        )
        entry.outcome = value

    return change


def altered(story: Story) -> None:
    """Record that a different content under a known id was accepted."""
    story.client_did("altered", "d")


def other_answer(story: Story) -> None:
    """Record a repeat with a different answer."""
    story.client_did("place", "d", {"hash": "other"}, **story.entries[0].operation.data)


def refused_is_there(story: Story) -> None:
    """Record that an existing order was refused."""
    outcome("place", Outcome.FAIL, "d")(story)


def lost_in_view(story: Story) -> None:
    """Remove an accepted order from the view."""
    del story.orders["c"]


def view_says(story: Story) -> None:
    """Show another state in the view."""
    story.orders["c"]["state"] = "ready"


def lost_movement(story: Story) -> None:
    """Remove the movement of a handover."""
    story.log[story.first_index("stock-moved") :] = [
        record for record in story.log[story.first_index("stock-moved") :] if record.data.get("to_place") != "buyer"
    ]


def kept_refund(story: Story) -> None:
    """Refund an order that the buyer collected."""
    refund(story, "c")


DAMAGE: list[tuple[str, Callable[[Story], None]]] = [
    ("lost order", lambda s: drop(s, "order-placed", "c")),
    ("lost order", lost_in_view),
    ("refused order exists", refused_is_there),
    ("unknown order", unknown_order),
    ("other content", lambda s: s.log.__setitem__(s.first_index("order-placed", "d"), replace(
        s.log[s.first_index("order-placed", "d")],
        data={"lines": lines(9), "payment": "prepaid", "fulfilment": "delivery"}))),
    ("answers differ", other_answer),
    ("altered repeat accepted", altered),
    ("not ended", lambda s: drop(s, "order-collected")),
    ("ended twice", lambda s: end(s, "c", "cancelled")),
    ("views differ", view_says),
    ("out of order", swap),
    ("sequence gap", lambda s: drop(s, "order-reserved")),
    ("two contents of one event", lambda s: repeat_record(s, digest="other")),
    ("oversold", oversell),
    ("oversold", late_release),
    ("not sold out", unsold),
    ("duplicate reservation", lambda s: publish_again(s, "stock-reserved", reservation="res-2")),
    ("duplicate load", lambda s: publish_again(s, "job-loaded")),
    ("duplicate job end", lambda s: publish_again(s, "job-delivered")),
    ("duplicate handover", lambda s: publish_again(s, "order-collected")),
    ("duplicate sale", lambda s: publish_again(s, "sale-recorded")),
    ("lost sale", lambda s: drop(s, "sale-recorded")),
    ("unknown sale", lambda s: publish_again(s, "sale-recorded", seq_no=9)),
    ("movements differ", lost_movement),
    ("movements differ", lambda s: s.move("on_hand", "sold", 1)),
    ("missing refund", lambda s: drop(s, "order-refunded")),
    ("duplicate refund", lambda s: publish_again(s, "order-refunded")),
    ("kept order refunded", kept_refund),
    ("refund of nothing", lambda s: publish_again(s, "order-refunded", payment="other")),
    ("lost delivery", lambda s: drop(s, "job-delivered")),
    ("orders and jobs differ", lambda s: drop(s, "job-delivered")),
    ("lost handover", lambda s: drop(s, "order-collected")),
    ("dead letter", lambda s: s.dead_letters.append("inventory: a record")),
]  # fmt: skip


def findings_of(story: Story) -> set[str]:
    """Return the names of the checks that found something."""
    return {finding.check for finding in check(story.evidence())}


def test_a_market_in_which_all_is_well():
    assert check(consistent_story().evidence()) == []


def test_repeated_records_are_no_damage():
    story = consistent_story()
    story.log += [replace(record, offset=record.offset + 100) for record in story.log[3:9]]
    assert check(story.evidence()) == []
    assert story.evidence().duplicates == 6


@pytest.mark.parametrize(("name", "damage"), DAMAGE, ids=[f"{n}-{name}" for n, (name, _) in enumerate(DAMAGE)])
def test_each_damage_is_named(name: str, damage: Callable[[Story], None]):
    story = consistent_story()
    damage(story)
    assert name in findings_of(story)


@pytest.mark.parametrize("exists", [True, False])
def test_an_unknown_order_may_exist_or_not_if_all_views_agree(exists: bool):
    story = consistent_story()
    outcome("place", Outcome.UNKNOWN, "x")(story)
    if not exists:
        gone = {"x", "res-x"}
        story.log = [replace(s, offset=n) for n, s in enumerate(one for one in story.log if one.subject not in gone)]
        del story.orders["x"]
    assert check(story.evidence()) == []
    story.orders.pop("x", None) if exists else story.orders.update(x={})
    assert "views differ" in findings_of(story)


def test_a_history_tells_how_operations_ended(tmp_path: Path):
    history = History(tmp_path / "h.jsonl")
    good, bad, never = (Operation(name, "place", name, {"n": 1}) for name in ("good", "bad", "never"))
    for operation in (good, bad, never):
        history.invoke(operation, 1, {"a": 1})
    history.unknown(good, 1, {"why": "cut"})
    history.invoke(good, 2, {"a": 1})
    history.ok(good, 2, {"hash": "h"})
    history.fail(bad, 1, {"why": "422"})
    history.close()
    found = {entry.operation.id: entry for entry in read(tmp_path / "h.jsonl")}
    assert {id: entry.outcome for id, entry in found.items()} == {
        "good": Outcome.OK, "bad": Outcome.FAIL, "never": Outcome.UNKNOWN
    }  # fmt: skip
    assert (found["good"].tries, found["good"].unknowns, found["good"].answer) == (2, 1, {"hash": "h"})
    assert history.unknowns == 1
