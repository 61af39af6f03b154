"""What an observer concludes from the topics, and how it is held against the plan."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson

from deploy.scenarios.day import Expected
from deploy.scenarios.drivers.tally import Tally
from deploy.scenarios.figures import Figures, WaveFigures, differences, figures
from deploy.scenarios.generator import make_day
from deploy.scenarios.load import load
from deploy.scenarios.seen import Seen

DAY = make_day(load("market-day"), 1)
AT = datetime(2026, 10, 24, 1, tzinfo=UTC)
ORDER, JOB = str(uuid4()), str(uuid4())
PLACED = {"order": ORDER, "market_day": DAY.market_day, "lines": [{"item": "honey", "quantity": 2}]}


class _Topics:
    """Feeds records to a fold as the observer does."""

    def __init__(self) -> None:
        self.seen = Seen()

    def tell(self, topic: str, name: str, data: dict[str, Any], after_s: float = 0, id: str | None = None) -> None:
        at = (AT + timedelta(seconds=after_s)).isoformat()
        headers = {"ce_id": id or str(uuid4()), "ce_type": f"market.x.{name}.v1", "ce_time": at}
        self.seen.take(topic, headers, orjson.dumps(data))


def test_an_order_is_followed_from_placed_to_its_end():
    topics = _Topics()
    topics.tell("orders.order.v1", "order-placed", PLACED)
    topics.tell("orders.order.v1", "order-reserved", {"order": ORDER}, 144)
    assert topics.seen.ends(DAY.market_day) == {"reserved": 1}
    assert topics.seen.sold(DAY.market_day) == {}
    topics.tell("orders.order.v1", "order-refunded", {"order": ORDER})
    topics.tell("orders.order.v1", "order-collected", {"order": ORDER})
    assert topics.seen.ends(DAY.market_day) == {"collected": 1}
    assert topics.seen.sold(DAY.market_day) == {"honey": 2}
    assert topics.seen.waits(DAY.market_day) == [144]
    assert topics.seen.ends("another-day") == {}


def test_a_repeated_event_counts_as_a_record_and_has_no_second_effect():
    topics = _Topics()
    sale = {"sale": "s1", "pool": f"{DAY.market_day}@qifeng", "lines": [{"item": "pears", "quantity": 500}]}
    for _ in range(2):
        topics.tell("orders.stall.v1", "sale-recorded", sale, id="e1")
    assert (topics.seen.twice, topics.seen.events["orders.stall.v1"]) == (1, 2)
    assert topics.seen.sold(DAY.market_day) == {"pears": 500}
    topics.tell("orders.stall.v1", "sale-voided", sale)
    assert topics.seen.sold(DAY.market_day) == {}


def test_parked_records_are_counted_whatever_is_in_them():
    seen = Seen()
    seen.take("orders.dlq.v1", {}, b"\xff\x00")
    seen.take("inventory.dlq.v1", {}, None)
    assert seen.parked == 2


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
    found = figures(DAY, topics.seen, Tally(), 1440)
    assert found.waves == [WaveFigures("w", "done", 3, 2, 12.3, 3, 2, 0)]
    assert round(found.waves[0].share) == 67


def test_waiting_times_are_told_in_real_milliseconds():
    topics = _Topics()
    for n in range(100):
        order = str(uuid4())
        topics.tell("orders.order.v1", "order-placed", {**PLACED, "order": order})
        topics.tell("orders.order.v1", "order-held", {"order": order}, 14.4 * (n + 1))
    assert figures(DAY, topics.seen, Tally(), 1440).reserved_ms == {"p50": 510.0, "p99": 1000.0}


def test_what_went_otherwise_than_planned_is_named():
    found = Figures("d", 1, {"delivered": 1, "failed": 1}, [], [], {}, {}, 0, {})
    plan = Expected(Counter({"delivered": 2}), Counter(), Counter())
    lines = differences(found, plan, Counter({"delivered": 2}))
    assert lines[:2] == ["orders: delivered is 1, planned 2", "orders: failed is 1, planned 0"]
    assert "the orders service says" in lines[2]
    held = Figures("d", 1, {"delivered": 2}, [], [], {}, {}, 0, {})
    assert differences(held, plan, Counter({"delivered": 2})) == []
