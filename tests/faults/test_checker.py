"""The checker itself: a small market in which all is well, and each kind of damage seen and named."""

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
    """Events in order, and what clients and views say."""

    entries: list[HistoryEntry] = field(default_factory=list)
    log: list[ObservedRecord] = field(default_factory=list)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    on_hand: int = 0
    parked: list[str] = field(default_factory=list)
    _seq: Counter[tuple[str, str]] = field(default_factory=Counter)

    def tell(self, topic: str, type: str, subject: str, **data: Any) -> ObservedRecord:
        """One more record."""
        self._seq[topic, subject] += 1
        offset = len(self.log)
        record = ObservedRecord(
            topic, 0, offset, f"e{offset}", type, subject, self._seq[topic, subject], data, f"d{offset}"
        )
        self.log.append(record)
        return record

    def order(self, type: str, id: str, **data: Any) -> None:
        """A step of an order."""
        self.tell("orders.order.v1", type, id, order=id, **data)

    def stock(self, type: str, subject: str, **data: Any) -> None:
        """A record of the stock topic."""
        self.tell("inventory.stock.v1", type, subject, pool=POOL, **data)

    def move(self, source: str, target: str, quantity: int) -> None:
        """A movement of goods."""
        moved = {"from_place": source, "to_place": target, "quantity": quantity, "item": ITEM}
        self.stock("stock-moved", f"{POOL}/{ITEM}", **moved)
        self.on_hand += quantity if target == "on_hand" else -quantity

    def did(self, kind: str, subject: str, answer: dict[str, Any] | None = None, **data: Any) -> HistoryEntry:
        """Something that a client did, and knows of."""
        operation = Operation(f"op{len(self.entries)}", kind, subject, data)
        self.entries.append(HistoryEntry(operation, Outcome.OK, answer or {"hash": "h"}, 1))
        return self.entries[-1]

    def evidence(self) -> Evidence:
        """All of it."""
        row = {"on_hand": self.on_hand, "held": 0, "allocated": 0, "shortfall": 0}
        views = Views(self.orders, self.jobs, {(POOL, ITEM): row}, self.parked)
        return Evidence(self.entries, self.log, views, frozenset({ITEM}))

    def at(self, type: str, subject: str | None = None) -> int:
        """Where a type stands first."""
        return next(n for n, one in enumerate(self.log) if one.type == type and subject in {None, one.subject})


def lines(quantity: int) -> list[dict[str, Any]]:
    """Goods of the one item."""
    return [{"line": 1, "item": ITEM, "quantity": quantity}]


def well() -> Story:
    """Ten eggs came in: six are delivered, one is sold at a stall (another was voided), three are collected, one more
    order got none and one was cancelled.
    """
    story = Story()
    story.move("intake", "on_hand", 10)
    story.stock("allotment-granted", "till", item=ITEM, quantity=1)
    request = {"lines": [[ITEM, 6]], "payment": "prepaid", "fulfilment": "delivery"}
    for id, quantity in (("d", 6), ("c", 3), ("r", 5), ("x", 3)):
        request = {"lines": [[ITEM, quantity]], "payment": "prepaid", "fulfilment": "delivery"}
        story.did("place", id, **request)
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
    """The order's last state, also in its view."""
    story.order(f"order-{state}", id, pool=POOL, lines=lines(3))
    story.orders[id]["state"] = state


def refund(story: Story, id: str) -> None:
    """Its money goes back."""
    story.order("order-refunded", id, payment="prepaid")
    story.orders[id]["refunded_fen"] = 100


def cancelled(story: Story) -> None:
    """Three eggs reserved and released."""
    story.stock("stock-reserved", "res-x", reservation="res-x", order="x", lines=lines(3))
    story.did("cancel", "x")
    story.stock("reservation-released", "res-x", reservation="res-x", order="x", lines=lines(3))
    end(story, "x", "cancelled")
    refund(story, "x")


def delivered(story: Story) -> None:
    """Six eggs brought to a door."""
    story.stock("stock-reserved", "res-d", reservation="res-d", order="d", lines=lines(6))
    story.order("order-reserved", "d", reservation="res-d")
    for type in ("job-planned", "job-loaded", "job-delivered"):
        story.tell("dispatch.job.v1", type, "j", job="j", order="d", pool=POOL, lines=lines(6))
    story.move("on_hand", "courier", 6)
    story.did("courier", "rider", uploads=[[1, "load", "j"], [2, "deliver", "j"]])
    story.jobs["j"] = {"state": "delivered"}
    end(story, "d", "delivered")


def collected(story: Story) -> None:
    """Three eggs fetched."""
    story.stock("stock-reserved", "res-c", reservation="res-c", order="c", lines=lines(3))
    story.did("collect", "c")
    end(story, "c", "collected")
    story.move("on_hand", "buyer", 3)


def stall(story: Story) -> None:
    """A sale, and one that was undone."""
    number = {"terminal": "till", "device": "dev", "session": "s"}
    uploads = [
        {"seq": 1, "kind": "sale", "lines": [[ITEM, 1]]},
        {"seq": 2, "kind": "void", "lines": []},
        {"seq": 3, "kind": "sale", "lines": [[ITEM, 1]]},
    ]
    story.did("stall", "till", device="dev", session="s", uploads=uploads)
    for seq, type, sale in ((1, "sale-recorded", "s1"), (2, "sale-voided", "s1"), (3, "sale-recorded", "s2")):
        fact = {"sale": sale, "seq_no": seq, "pool": POOL, "lines": lines(1)}
        story.tell("orders.stall.v1", type, "till", **number, **fact)
        story.move(*(("sold", "on_hand", 1) if type == "sale-voided" else ("on_hand", "sold", 1)))


def drop(story: Story, type: str, subject: str | None = None) -> None:
    """A record is gone; those after it about its subject keep their numbers."""
    del story.log[story.at(type, subject)]


def again(story: Story, type: str, **data: Any) -> None:
    """The same fact as a new event."""
    record = story.log[story.at(type)]
    story.tell(record.topic, record.type, record.subject, **{**record.data, **data})


def repeat(story: Story, **changed: Any) -> None:
    """The first record stands a second time."""
    story.log.append(replace(story.log[0], offset=99, **changed))


def swap(story: Story) -> None:
    """Two records of an order change places."""
    mine = [n for n, record in enumerate(story.log) if record.subject == "d" and record.topic == "orders.order.v1"]
    story.log[mine[0]], story.log[mine[1]] = story.log[mine[1]], story.log[mine[0]]


def oversell(story: Story) -> None:
    """One more grant than there is."""
    story.stock("stock-reserved", "res-r", reservation="res-r", order="r", lines=lines(1))


def unsold(story: Story) -> None:
    """One more came in and nobody got it."""
    story.move("intake", "on_hand", 1)


def late_release(story: Story) -> None:
    """The claim of the cancelled order ends only after others were granted its goods."""
    record = story.log.pop(story.at("reservation-released"))
    story.log.append(record)


def unknown_order(story: Story) -> None:
    """An order on the topic that nobody asked for."""
    story.order("order-placed", "ghost", lines=lines(1), payment="on_account", fulfilment="pickup")
    story.order("order-rejected", "ghost")


def outcome(kind: str, value: Outcome, subject: str) -> Callable[[Story], None]:
    """A client knows it otherwise."""

    def change(story: Story) -> None:
        entry = next(
            entry for entry in story.entries if (entry.operation.kind, entry.operation.subject) == (kind, subject)
        )
        entry.outcome = value

    return change


def altered(story: Story) -> None:
    """Another content under a known id was taken."""
    story.did("altered", "d")


def other_answer(story: Story) -> None:
    """A repeat was answered otherwise."""
    story.did("place", "d", {"hash": "other"}, **story.entries[0].operation.data)


def refused_is_there(story: Story) -> None:
    """An order that its client was refused."""
    outcome("place", Outcome.FAIL, "d")(story)


def lost_in_view(story: Story) -> None:
    """The view does not show an accepted order."""
    del story.orders["c"]


def view_says(story: Story) -> None:
    """The view shows another state."""
    story.orders["c"]["state"] = "ready"


def lost_movement(story: Story) -> None:
    """A handover did not leave the books."""
    story.log[story.at("stock-moved") :] = [
        record for record in story.log[story.at("stock-moved") :] if record.data.get("to_place") != "buyer"
    ]


def kept_refund(story: Story) -> None:
    """The buyer has the goods and the money."""
    refund(story, "c")


DAMAGE: list[tuple[str, Callable[[Story], None]]] = [
    ("lost order", lambda s: drop(s, "order-placed", "c")),
    ("lost order", lost_in_view),
    ("refused order exists", refused_is_there),
    ("order that nobody placed", unknown_order),
    ("other content", lambda s: s.log.__setitem__(s.at("order-placed", "d"), replace(
        s.log[s.at("order-placed", "d")], data={"lines": lines(9), "payment": "prepaid", "fulfilment": "delivery"}))),
    ("answers differ", other_answer),
    ("altered repeat accepted", altered),
    ("not ended", lambda s: drop(s, "order-collected")),
    ("ended twice", lambda s: end(s, "c", "cancelled")),
    ("views differ", view_says),
    ("inversion", swap),
    ("hole", lambda s: drop(s, "order-reserved")),
    ("two contents of one event", lambda s: repeat(s, digest="other")),
    ("oversold", oversell),
    ("oversold", late_release),
    ("not used up", unsold),
    ("doubled reservation", lambda s: again(s, "stock-reserved", reservation="res-2")),
    ("doubled load", lambda s: again(s, "job-loaded")),
    ("doubled job end", lambda s: again(s, "job-delivered")),
    ("doubled handover", lambda s: again(s, "order-collected")),
    ("doubled sale", lambda s: again(s, "sale-recorded")),
    ("lost sale", lambda s: drop(s, "sale-recorded")),
    ("sale that nobody made", lambda s: again(s, "sale-recorded", seq_no=9)),
    ("movements differ", lost_movement),
    ("movements differ", lambda s: s.move("on_hand", "sold", 1)),
    ("missing refund", lambda s: drop(s, "order-refunded")),
    ("doubled refund", lambda s: again(s, "order-refunded")),
    ("kept order refunded", kept_refund),
    ("refund of nothing", lambda s: again(s, "order-refunded", payment="other")),
    ("lost delivery", lambda s: drop(s, "job-delivered")),
    ("stories differ", lambda s: drop(s, "job-delivered")),
    ("lost handover", lambda s: drop(s, "order-collected")),
    ("parked", lambda s: s.parked.append("inventory: a record")),
]  # fmt: skip


def named(story: Story) -> set[str]:
    """The checks that found something."""
    return {finding.check for finding in check(story.evidence())}


def test_a_market_in_which_all_is_well():
    assert check(well().evidence()) == []


def test_repeated_records_are_no_damage():
    story = well()
    story.log += [replace(record, offset=record.offset + 100) for record in story.log[3:9]]
    assert check(story.evidence()) == []
    assert story.evidence().duplicates == 6


@pytest.mark.parametrize(("name", "damage"), DAMAGE, ids=[f"{n}-{name}" for n, (name, _) in enumerate(DAMAGE)])
def test_each_damage_is_named(name: str, damage: Callable[[Story], None]):
    story = well()
    damage(story)
    assert name in named(story)


@pytest.mark.parametrize("exists", [True, False])
def test_an_unknown_order_may_exist_or_not_if_all_views_agree(exists: bool):
    story = well()
    outcome("place", Outcome.UNKNOWN, "x")(story)
    if not exists:
        gone = {"x", "res-x"}
        story.log = [replace(s, offset=n) for n, s in enumerate(one for one in story.log if one.subject not in gone)]
        del story.orders["x"]
    assert check(story.evidence()) == []
    story.orders.pop("x", None) if exists else story.orders.update(x={})
    assert "views differ" in named(story)


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
