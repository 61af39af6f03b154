"""The statements that write: each takes any number of rows, as one JSON array, in one round trip.

PostgreSQL reads the array as rows of the table, so a column is named only where its change is meant. Measured on one
machine against one array for each column: 35 ms against 31 ms for a group of 200 orders, 2.4 ms against 2.8 ms for a
single one, and a sixth less CPU in the service; `jsonb` instead of `json` takes 40 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import asyncpg
import orjson

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | Any"

ORDERS = """
insert into orders select * from json_populate_recordset(
  json_populate_record(null::orders, json_build_object('created_at', clock_timestamp())), $1::json)
on conflict (order_id) do nothing returning order_id
"""
ORDER_DETAILS = """
with lines as (insert into order_line select * from json_populate_recordset(null::order_line, $1::json)),
  steps as (insert into order_history select * from json_populate_recordset(null::order_history, $2::json)),
  payments as (insert into payment select * from json_populate_recordset(null::payment, $3::json)),
  recipients as (insert into recipient select * from json_populate_recordset(null::recipient, $4::json))
select
"""
ORDER_STATES = """
update orders set
  (state, attempt, awaiting, reason, reservation, job, hold_until, wave, slot_from, slot_until, as_promised, paid_fen,
   refunded_fen, version) =
  (r.state, r.attempt, r.awaiting, r.reason, r.reservation, r.job, r.hold_until, r.wave, r.slot_from, r.slot_until,
   r.as_promised, r.paid_fen, r.refunded_fen, r.version)
from json_populate_recordset(null::orders, $1::json) as r where orders.order_id = r.order_id
"""
STEPS = "insert into order_history select * from json_populate_recordset(null::order_history, $1::json)"
NOTES = "insert into order_note select * from json_populate_recordset(null::order_note, $1::json)"
PAYMENTS = "insert into payment select * from json_populate_recordset(null::payment, $1::json)"
REFUNDS = "insert into refund select * from json_populate_recordset(null::refund, $1::json)"
HOLDS = "insert into hold select * from json_populate_recordset(null::hold, $1::json)"
ORDER_CONFLICTS = """
insert into order_conflict as old select * from json_populate_recordset(null::order_conflict, $1::json)
on conflict (order_id, body_hash) do update set seen = coalesce(old.seen, 1) + excluded.seen
"""

CAMPAIGNS = """
insert into campaign select * from json_populate_recordset(null::campaign, $1::json)
on conflict (campaign_id) do nothing returning campaign_id
"""
CAMPAIGN_STATES = """
update campaign set
  (state, unsettled, settled, reached, reason, version) =
  (r.state, r.unsettled, r.settled, r.reached, r.reason, r.version)
from json_populate_recordset(null::campaign, $1::json) as r where campaign.campaign_id = r.campaign_id
"""
TALLIES = """
insert into campaign_tally select * from json_populate_recordset(null::campaign_tally, $1::json)
on conflict (campaign_id) do update set
  (joined, standing, pledged) = (excluded.joined, excluded.standing, excluded.pledged)
"""
JOINS = "insert into campaign_join select * from json_populate_recordset(null::campaign_join, $1::json)"
JOIN_STATES = """
update campaign_join set (state, granted, refunded_fen) = (r.state, r.granted, r.refunded_fen)
from json_populate_recordset(null::campaign_join, $1::json) as r where campaign_join.join_id = r.join_id
"""
CAMPAIGN_PERSONS = "insert into campaign_person select * from json_populate_recordset(null::campaign_person, $1::json)"
VERDICTS = "insert into campaign_verdict select * from json_populate_recordset(null::campaign_verdict, $1::json)"
CAMPAIGN_CONFLICTS = """
insert into campaign_conflict as old select * from json_populate_recordset(null::campaign_conflict, $1::json)
on conflict (id, body_hash) do update set seen = coalesce(old.seen, 1) + excluded.seen
"""

MEMBERS = """
with sought as (
  select * from json_to_recordset($1::json) as s("order" uuid, tenant text, community text, phone_hash bytea,
                                                 member uuid, makes boolean)
), made as (
  insert into member (member_id, tenant, community, phone_hash, created_at)
  select distinct on (community, phone_hash, tenant) member, tenant, community, phone_hash, clock_timestamp()
  from sought s where makes and not exists (select from orders where order_id = s."order") and not exists (
    select from member m where (m.community, m.phone_hash, m.tenant) = (s.community, s.phone_hash, s.tenant))
  order by community, phone_hash, tenant
  on conflict (community, phone_hash, tenant) do nothing returning *
)
select "order", member_id from sought join member using (tenant, community, phone_hash)
union all select "order", member_id from sought join made using (tenant, community, phone_hash)
"""
FORGET = """
update member set phone_hash = null where member_id in (
  select member_id from orders where order_id = any($1::uuid[])
  union select member_id from campaign_join where order_id = any($1::uuid[]))
and not ($2 and credit)
and not exists (select from orders o join recipient using (order_id) where o.member_id = member.member_id)
and not exists (select from campaign_join j join campaign_person using (order_id) where j.member_id = member.member_id)
"""
RECEIPT = """
insert into receipt (provider, transaction_id, order_id, amount_fen, currency, paid_at, received_at, state, reason,
  pays)
select provider, transaction_id, order_id, amount_fen, currency, paid_at, received_at, state, reason, pays
from json_populate_recordset(null::receipt, $1::json)
on conflict (provider, transaction_id) do nothing returning n
"""
RECEIPT_STATES = """
update receipt set (state, reason, pays) = (r.state, r.reason, r.pays)
from json_populate_recordset(null::receipt, $1::json) as r
where (receipt.provider, receipt.transaction_id) = (r.provider, r.transaction_id)
"""
RECEIPT_CONFLICT = """
insert into receipt_conflict as old select * from json_populate_recordset(null::receipt_conflict, $1::json)
on conflict (provider, transaction_id, order_id, amount_fen, currency, paid_at) do update set seen = old.seen + 1
"""

SALES = "insert into stall_sale select * from json_populate_recordset(null::stall_sale, $1::json)"
SALE_LINES = "insert into stall_sale_line select * from json_populate_recordset(null::stall_sale_line, $1::json)"
VOIDS = "insert into stall_void select * from json_populate_recordset(null::stall_void, $1::json)"
SESSIONS = """
insert into stall_session select * from json_populate_recordset(null::stall_session, $1::json)
on conflict (terminal, device, session) do update set
  (pool, float_fen, taken_fen, adjusted_fen, last_seq, cash_fen, close_seq, closed_at, close_clock_invalid, complete) =
  (excluded.pool, excluded.float_fen, excluded.taken_fen, excluded.adjusted_fen, excluded.last_seq, excluded.cash_fen,
   excluded.close_seq, excluded.closed_at, excluded.close_clock_invalid, excluded.complete)
"""
ALLOTMENTS = """
insert into terminal_allotment select * from json_populate_recordset(null::terminal_allotment, $1::json)
on conflict (terminal, pool, item) do update set
  (granted_total, returned_total, version, lease_until) =
  (excluded.granted_total, excluded.returned_total, excluded.version, excluded.lease_until)
where terminal_allotment.version < excluded.version
"""
SOLD_OUT = """
insert into item_sold_out select * from json_populate_recordset(null::item_sold_out, $1::json)
on conflict (pool, item) do update set sold_out = excluded.sold_out
"""


async def write(conn: Connection, statement: str, rows: Sequence[Any]) -> list[asyncpg.Record]:
    """Execute a statement with these rows (dicts or dataclasses) in their order; no rows, no round trip.

    Returns the rows of its RETURNING.
    """
    if not rows:
        return []
    found: list[asyncpg.Record] = await conn.fetch(statement, packed(rows))
    return found


def packed(rows: Iterable[Any]) -> str:
    """Return rows (dicts or dataclasses) as the JSON array that a statement takes."""
    return orjson.dumps(list(rows), default=_plain).decode()


def _plain(value: Any) -> str:
    # bytes as PostgreSQL writes them; asyncpg has a UUID class of its own
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)
