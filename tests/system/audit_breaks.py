"""Faults in the databases, as SQL, and the audit's finding for each.

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


_CHILDREN = ("order_line", "order_history", "recipient")
_GONE = ";".join(f"delete from {table} where order_id = '{{open}}'" for table in _CHILDREN)

BREAKS: dict[str, Break] = {
    "an order in another state than its history": Break(
        "orders",
        "update orders set state = 'delivered' where order_id = '{returned}'",
        "order",
        "is delivered by its row, returned by its history",
        "{returned}",
    ),
    "a history that ends elsewhere than the topic": Break(
        "orders",
        "update order_history set to_state = 'failed' where order_id = '{cancelled}' and to_state = 'cancelled';"
        "update orders set state = 'failed' where order_id = '{cancelled}'",
        "order",
        "> failed by its history, placed > reserved > scheduled > cancelled by its topic",
        "{cancelled}",
    ),
    "a lost step": Break(
        "orders",
        "delete from order_history where order_id = '{delivered}' and n = 2",
        "order",
        "steps of history",
        "{delivered}",
    ),
    "a life after the end": Break(
        "orders",
        "insert into order_history select order_id, n + 1, to_state, 'failed', 'x', '', '', at from order_history "
        "where order_id = '{rejected}' and to_state = 'rejected';"
        "update orders set state = 'failed', version = version + 1 where order_id = '{rejected}'",
        "order",
        "went on from rejected to failed",
        "{rejected}",
    ),
    "an order that is lost": Break(
        "orders",
        f"{_GONE}; delete from orders where order_id = '{{open}}'",
        "order",
        "was published but is not in the table",
        "{open}",
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
    "an attempt without an event": Break(
        "orders",
        "update orders set attempt = 2 where order_id = '{open}'",
        "order",
        "is at attempt 2 by its row, 1 by its topic",
        "{open}",
    ),
    "a refund that is lost": Break(
        "orders",
        "delete from refund where order_id = '{cancelled}'",
        "money",
        "refunded None",
        "{cancelled}",
    ),
    "a refund that was not made": Break(
        "orders",
        "update orders set refunded_fen = 0 where order_id = '{rejected}'",
        "money",
        "is rejected; 1500 fen were paid, 0 refunded",
        "{rejected}",
    ),
    "a refund above what was paid": Break(
        "orders",
        "update refund set amount_fen = amount_fen + 1 where order_id = '{returned}'",
        "money",
        "refunded 501",
        "{returned}",
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
    "a campaign whose stock was not given up": Break(
        "inventory",
        "update reservation set state = 'firm' where order_id = '{campaign}'",
        "reservation",
        "is firm, but no order or campaign needs it",
        "{campaign}",
    ),
    "a pledge that was left": Break(
        "orders",
        "update campaign_join set state = 'pledged', refunded_fen = 0 where state = 'ordered'",
        "campaign",
        "has 3 pledges left, 0 by its row",
        "{campaign}",
    ),
    "a pledge without an event": Break(
        "orders",
        "insert into campaign_join select (jsonb_populate_record(j, jsonb_build_object('join_id', gen_random_uuid(), "
        "'order_id', gen_random_uuid(), 'n', 9))).* from campaign_join j where n = 1",
        "join",
        "by its topic",
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
    "a pledge whose money is gone": Break(
        "orders",
        "update campaign_join set payment = 'prepaid' where payment = 'on_account'",
        "join",
        "orders and refunds amount to 0",
    ),
    "goods from nowhere": Break(
        "inventory",
        "update stock set on_hand = on_hand + 1, available = available + 1 where item = 'apples'",
        "stock",
        "by the movements",
        "sat@square/apples",
    ),
    "a claim from nowhere": Break(
        "inventory",
        "update stock set allocated = allocated + 1, available = available - 1 where item = 'apples'",
        "stock",
        "allocated is 3 in the table, 2 by the topic",
        "sat@square/apples",
    ),
    "a movement that is lost": Break(
        "inventory",
        "delete from movement where target = 'waste'",
        "movement",
        "is absent in the table",
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
    "sold out for one side only": Break(
        "inventory",
        "update stock set closed = true where item = 'apples'",
        "stock",
        "sold out is True in the table",
        "sat@square/apples",
    ),
    "a lot that does not add up": Break(
        "inventory",
        "update lot set on_hand = on_hand + 1 where id = '{lot}'",
        "lot",
        "in 90 is not out",
        "{lot}",
    ),
    "a weigh-in that was changed": Break(
        "inventory",
        "update lot set received = 101 where id = '{lot}'",
        "lot",
        "received is 101 in the table, 100 by its topic",
        "{lot}",
    ),
    "goods that belong to no lot": Break(
        "inventory",
        "update movement set lot = null where target = 'waste'",
        "lot",
        "its lots sum up to",
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
    "a claim that no order needs": Break(
        "inventory",
        "insert into reservation (id, pool, order_id, state) values "
        "(gen_random_uuid(), 'sat@square', gen_random_uuid(), 'firm')",
        "reservation",
        "is firm, but no order or campaign needs it",
    ),
    "a sale that took no effect": Break(
        "inventory",
        "delete from sale where id = '{sale}'",
        "sale",
        "was published but has no effect in the stock",
        "{sale}",
    ),
    "a sale that is void for one side only": Break(
        "inventory",
        "update sale set voided = true where id = '{sale}'",
        "sale",
        "is void for one of orders and inventory only",
        "{sale}",
    ),
    "a sale that took effect twice": Break(
        "inventory",
        "insert into movement (id, pool, item, source, target, quantity, cause, lot, inferred, actor, at) "
        "select gen_random_uuid(), pool, item, source, target, quantity, cause, lot, inferred, actor, at "
        "from movement where cause = 'sale/{sale}'",
        "sale",
        "took 8 apples out of stock instead of 4 apples",
        "{sale}",
    ),
    "a job in the wrong state": Break(
        "dispatch",
        "update job set state = 'loaded' where \"order\" = '{delivered}'",
        "job",
        "is delivered, its job",
        "{delivered}",
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
    "a job that is lost": Break(
        "dispatch",
        "delete from job where \"order\" = '{returned}'",
        "job",
        ": no job",
        "{returned}",
    ),
    "a job that no order needs": Break(
        "dispatch",
        "insert into job select (jsonb_populate_record(j, jsonb_build_object('id', gen_random_uuid(), 'state', "
        "'planned'))).* from job j where \"order\" = '{cancelled}'",
        "job",
        "is planned, but no order needs it",
        "{cancelled}",
    ),
}
