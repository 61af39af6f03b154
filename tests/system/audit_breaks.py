"""Faults in the databases, as SQL, and the audit's finding for each: at least one for each table that it reads.

Each invariant is broken in `tests/unit/invariants`; here it is shown that the rows and columns arrive there.

`{name}` is replaced by the id of that order of the small day; `{sale}` and `{lot}` by the kept sale and the apples'
lot.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Break:
    """One statement in a service's database; then a finding of `check` about `subject` says `words`."""

    service: str
    sql: str
    check: str
    words: str
    subject: str = ""


BREAKS: dict[str, Break] = {
    "a life after the end": Break(
        "orders",
        "insert into order_history select order_id, n + 1, to_state, 'failed', 'x', '', '', at from order_history "
        "where order_id = '{rejected}' and to_state = 'rejected';"
        "update orders set state = 'failed', version = version + 1 where order_id = '{rejected}'",
        "order",
        "went on from rejected to failed",
        "{rejected}",
    ),
    "an order that was never published": Break(
        "orders",
        "insert into orders select (jsonb_populate_record(o, jsonb_build_object('order_id', gen_random_uuid()))).* "
        "from orders o where order_id = '{open}'",
        "order",
        "was accepted but never published",
    ),
    "another quantity than was published": Break(
        "orders",
        "update order_line set quantity = 7 where order_id = '{open}'",
        "order",
        "lines is",
        "{open}",
    ),
    "a refund that is lost": Break(
        "orders",
        "delete from refund where order_id = '{cancelled}'",
        "money",
        "refunded None",
        "{cancelled}",
    ),
    "a refund of nothing that was paid": Break(
        "orders",
        "insert into payment values ('{delivered}', 'p-x', 5, now());"
        "insert into refund values ('{delivered}', 'p-x', 5, now())",
        "money",
        "payment p-x: paid 5, refunded 5, published as refunded []",
        "{delivered}",
    ),
    "a record that no outbox sent": Break(
        "orders",
        "delete from outbox_sent where topic = 'orders.order.v1' and subject = '{open}' and seq = 1",
        "archive",
        "was sent by no outbox",
    ),
    "a place where the log ends before": Break(
        "inventory",
        'update outbox_sent set "offset" = 99999 where id = (select max(id) from outbox_sent)',
        "archive",
        "where the log has no record",
    ),
    "an offset with another record": Break(
        "dispatch",
        "update outbox_sent set event_id = gen_random_uuid() where id = (select max(id) from outbox_sent)",
        "archive",
        "where the log has",
    ),
    "other bytes than were sent": Break(
        "dispatch",
        "update outbox_sent set payload = '\\x7b7d' where id = (select max(id) from outbox_sent)",
        "archive",
        "was sent with other content",
    ),
    "a row that waits to be sent": Break(
        "orders",
        "insert into outbox (topic, key, subject, seq, event_id, headers, payload) "
        "values ('orders.order.v1', 'k', 's', 1, gen_random_uuid(), '{{}}', '')",
        "outbox",
        "1 rows are in flight",
        "orders",
    ),
    "a command that had no effect": Break(
        "inventory",
        "delete from inbox where consumer = 'inventory.inventory.command.v1'",
        "inbox",
        "market.inventory.reserve-stock.v1 has not reached inventory",
    ),
    "a person who did not arrive": Break(
        "dispatch",
        "delete from inbox where consumer = 'dispatch.orders.recipient.v1'",
        "inbox",
        "market.orders.recipient-put.v1 has not reached dispatch",
    ),
    "an effect without a cause": Break(
        "inventory",
        "insert into inbox values ('inventory.orders.stall.v1', gen_random_uuid())",
        "inbox",
        "has taken effect but is not on orders.stall.v1",
    ),
    "a person's published number": Break(
        "orders",
        "update recipient set phone = '+86 139-0000-1234'",
        "person",
        "the phone of its recipient is in a public topic",
    ),
    "an erased person whom dispatch still knows": Break(
        "orders",
        "insert into erased (order_id, erased_by, why) values ('{delivered}', 'operator', 'x');"
        "delete from recipient where order_id = '{delivered}'",
        "person",
        "was erased and still has a recipient",
        "{delivered}",
    ),
    "a sale that orders does not know": Break(
        "orders",
        "delete from stall_sale_line where sale = '{sale}'; delete from stall_sale where sale = '{sale}'",
        "sale",
        "nothing in the table, 4 apples in the topic",
        "{sale}",
    ),
    "an allotment that orders shows wrongly": Break(
        "orders",
        "update terminal_allotment set granted_total = 30",
        "allotment",
        "(30, 15, 2) for till-1, (20, 15, 2) in the stock",
    ),
    "a campaign in another state": Break(
        "orders",
        "update campaign set state = 'failed'",
        "campaign",
        "is failed in the table, formed by its topic",
        "{campaign}",
    ),
    "a tally that counts a pledge twice": Break(
        "orders",
        "update campaign_tally set standing = standing + 1",
        "campaign",
        "active joins pledge",
        "{campaign}",
    ),
    "a share that was not pledged": Break(
        "orders",
        "update campaign_join set granted = '[99]' where state = 'ordered'",
        "join",
        "is granted other than 0 to the pledged",
    ),
    "a pledge that became no order": Break(
        "orders",
        "update orders set join_id = null",
        "join",
        "is ordered and became 0 orders",
    ),
    "a refunded pledge without an event": Break(
        "orders",
        "update campaign_join set refunded_fen = refunded_fen + 1 where state = 'withdrawn'",
        "join",
        "fen were refunded, [",
    ),
    "a claim from nowhere": Break(
        "inventory",
        "update stock set allocated = allocated + 1, available = available - 1 where item = 'apples'",
        "stock",
        "allocated is 3 in the table, 2 by the topic",
        "sat@square/apples",
    ),
    "goods that left without an event": Break(
        "inventory",
        "insert into movement (id, pool, item, source, target, quantity, cause, lot, inferred, actor, at) "
        "select gen_random_uuid(), pool, item, source, target, 1, 'waste/x', lot, inferred, actor, at from movement "
        "where target = 'waste'; update stock set on_hand = on_hand - 1, available = available - 1 "
        "where item = 'apples'; update lot set on_hand = on_hand - 1 where id = '{lot}'",
        "movement",
        "absent in the topic",
    ),
    "a weigh-in that was changed": Break(
        "inventory",
        "update lot set received = 101 where id = '{lot}'",
        "lot",
        "received is 101 in the table, 100 by its topic",
        "{lot}",
    ),
    "an allotment that no movement made": Break(
        "inventory",
        "update allotment set granted = granted + 1, allotted = allotted + 1",
        "stock",
        "by the reservations and allotments",
        "sat@square/apples",
    ),
    "a reservation in the wrong state": Break(
        "inventory",
        "update reservation set state = 'released' where order_id = '{open}'",
        "reservation",
        "is reserved, its reservation",
        "{open}",
    ),
    "a reservation for other goods": Break(
        "inventory",
        "update reservation_line set quantity = 9 "
        "where reservation = (select id from reservation where order_id = '{open}')",
        "reservation",
        "its reservation for {{'apples': 9}}",
        "{open}",
    ),
    "a sale that took no effect": Break(
        "inventory",
        "delete from sale where id = '{sale}'",
        "sale",
        "was published but has no effect in the stock",
        "{sale}",
    ),
    "a job in another wave": Break(
        "dispatch",
        "update job set wave = 'sat-9' where \"order\" = '{delivered}'",
        "job",
        "is in wave sat-1, its job in sat-9",
        "{delivered}",
    ),
    "a job for other goods": Break(
        "dispatch",
        "update job set lines = '[]' where \"order\" = '{delivered}'",
        "job",
        "its job for {{}}",
        "{delivered}",
    ),
}
