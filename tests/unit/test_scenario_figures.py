"""The observer's conclusions from the topics, and their comparison with the plan."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson

from deploy.scenarios.drivers.tally import Tally
from deploy.scenarios.generator import make_day
from deploy.scenarios.load import load
from deploy.scenarios.outcome.figures import BurstFigures, Figures, GroupBuyFigures, WaveFigures, differences, figures
from deploy.scenarios.outcome.observed import Observed
from deploy.scenarios.schedule import ExpectedOutcome, GroupBuyOutcome

DAY = make_day(load("market-day"), 1)
AT = datetime(2026, 10, 24, 1, tzinfo=UTC)
ORDER, JOB = str(uuid4()), str(uuid4())
PLACED = {"order": ORDER, "market_day": DAY.market_day, "lines": [{"item": "honey", "quantity": 2}]}


class _Topics:
    """Feeds records to a fold as the observer does."""

    def __init__(self) -> None:
        self.observed = Observed()

    def tell(self, topic: str, name: str, data: dict[str, Any], after_s: float = 0, id: str | None = None) -> None:
        headers = {"ce_id": id or str(uuid4()), "ce_type": f"market.x.{name}.v1"}
        self.observed.take(topic, headers, orjson.dumps(data), AT + timedelta(seconds=after_s))


def test_an_order_is_followed_from_placed_to_its_end():
    topics = _Topics()
    topics.tell("orders.order.v1", "order-placed", PLACED)
    topics.tell("orders.order.v1", "order-reserved", {"order": ORDER}, 144)
    assert topics.observed.ends(DAY.market_day) == {"reserved": 1}
    assert topics.observed.sold(DAY.market_day) == {}
    topics.tell("orders.order.v1", "order-refunded", {"order": ORDER})
    topics.tell("orders.order.v1", "order-collected", {"order": ORDER})
    assert topics.observed.ends(DAY.market_day) == {"collected": 1}
    assert topics.observed.sold(DAY.market_day) == {"honey": 2}
    assert topics.observed.waits(DAY.market_day) == [144]
    assert topics.observed.ends("another-day") == {}


def test_a_repeated_event_counts_as_a_record_and_has_no_second_effect():
    topics = _Topics()
    sale = {"sale": "s1", "pool": f"{DAY.market_day}@qifeng", "lines": [{"item": "pears", "quantity": 500}]}
    for _ in range(2):
        topics.tell("orders.stall.v1", "sale-recorded", sale, id="e1")
    assert (topics.observed.twice, topics.observed.events["orders.stall.v1"]) == (1, 2)
    assert topics.observed.sold(DAY.market_day) == {"pears": 500}
    topics.tell("orders.stall.v1", "sale-voided", sale)
    assert topics.observed.sold(DAY.market_day) == {}


def test_parked_records_are_counted_whatever_is_in_them():
    seen = Observed()
    seen.take("orders.dlq.v1", {}, b"\xff\x00", AT)
    seen.take("inventory.dlq.v1", {}, None, AT)
    assert seen.parked == 2


def test_a_group_buy_is_followed_to_its_orders_and_its_money_back():
    topics, buy = _Topics(), DAY.group_buys[0]
    id = str(buy.id)

    def tell(name: str, **data: Any) -> None:
        topics.tell("orders.campaign.v1", name, {"campaign": id, **data})

    tell("campaign-opened", market_day=DAY.market_day, goods=[{"item": "pears"}])
    for join in ("a", "b", "c"):
        tell("join-accepted", join=join, lines=[{"item": "pears", "quantity": 2500}])
    tell("join-refunded", join="c", amount_fen=1500)  # withdrawn
    tell("campaign-cut")
    tell("campaign-formed")
    tell("join-refunded", join="b", amount_fen=900)
    for quantity in (2500, 1000):
        order = {"order": str(uuid4()), "market_day": DAY.market_day, "campaign": id}
        topics.tell("orders.order.v1", "order-placed", {**order, "lines": [{"item": "pears", "quantity": quantity}]})
    found = figures(DAY, topics.observed, Tally()).group_buys[0]
    assert found == GroupBuyFigures(buy.terms.id, "pears", 2, 5000, "formed", 2, 3500, 1, 900)
    assert found.outcome == GroupBuyOutcome(2, 5000, "formed", 2, 3500, 1)


def test_a_livestream_is_measured_by_its_own_orders():
    topics = _Topics()
    mine = [str(order.id) for order in DAY.orders if order.burst][:2]
    for n, order in enumerate((*mine, ORDER)):
        topics.tell("orders.order.v1", "order-placed", {**PLACED, "order": order}, n)
    topics.tell("orders.order.v1", "order-reserved", {"order": mine[0]}, 0.5)
    topics.tell("orders.order.v1", "order-rejected", {"order": mine[1]}, 1)
    (found,) = figures(DAY, topics.observed, Tally()).bursts
    assert found == BurstFigures("morning-show", 2, 1, 1.0, {"p50": 500.0, "p99": 500.0})


def test_a_wave_counts_who_got_it_in_time():
    topics = _Topics()
    slot = {"slot_until": (AT + timedelta(hours=1)).isoformat(), "market_day": DAY.market_day}
    topics.tell("dispatch.wave.v1", "wave-opened", {"wave": "w", **slot})
    for n, late_s in enumerate((0, 3600, 3601)):
        job = {"job": f"{JOB}{n}", "wave": "w"}
        topics.tell("dispatch.job.v1", "job-planned", job)
        at = (AT + timedelta(seconds=late_s)).isoformat()
        topics.tell("dispatch.job.v1", "job-delivered", {**job, "delivered_at": at})
    topics.tell("dispatch.wave.v1", "wave-cut", {"wave": "w", "jobs": 3})
    topics.tell("dispatch.wave.v1", "wave-planned", {"wave": "w", "metres": 12_340, "routes": 2})
    topics.tell("dispatch.wave.v1", "wave-done", {"wave": "w"})
    found = figures(DAY, topics.observed, Tally())
    assert found.waves == [WaveFigures("w", "done", 3, 2, 12.3, 3, 2, 0)]
    assert round(found.waves[0].share) == 67


def test_waiting_times_are_told_in_real_milliseconds():
    topics = _Topics()
    for n in range(100):
        order = str(uuid4())
        topics.tell("orders.order.v1", "order-placed", {**PLACED, "order": order})
        topics.tell("orders.order.v1", "order-held", {"order": order}, 0.01 * (n + 1))
    assert figures(DAY, topics.observed, Tally()).reserved_ms == {"p50": 510.0, "p99": 1000.0}


def test_what_went_otherwise_than_planned_is_named():
    found = Figures("d", 1, {"delivered": 1, "failed": 1}, [], [], {}, {}, 0, {})
    plan = ExpectedOutcome(Counter({"delivered": 2}), Counter(), Counter())
    lines = differences(found, plan, Counter({"delivered": 2}))
    assert lines[:2] == ["orders: delivered is 1, planned 2", "orders: failed is 1, planned 0"]
    assert "the orders service says" in lines[2]
    held = Figures("d", 1, {"delivered": 2}, [], [], {}, {}, 0, {})
    assert differences(held, plan, Counter({"delivered": 2})) == []
    buy = GroupBuyFigures("pears", "pears", 2, 2, "failed", 0, 0, 2, 10)
    other = ExpectedOutcome(Counter(), Counter(), Counter(), {"pears": GroupBuyOutcome(2, 2, "formed", 2, 2, 0)})
    lines = differences(Figures("d", 1, {}, [], [], {}, {}, 0, {}, [buy]), other, Counter())
    assert lines[0] == "group-buy pears: verdict is failed, planned formed"
