"""The statements that write inventory's tables: each takes any number of rows as one JSON array, so that a table costs
one round trip however many rows change. PostgreSQL reads the array as rows of the table, in order.
"""

from __future__ import annotations

STOCK = """
insert into stock select * from json_populate_recordset(null::stock, $1::text::json)
on conflict (pool, item) do update set
  (on_hand, held, allocated, allotted, unconfirmed, closed, shortfall, available, doubted) =
  (excluded.on_hand, excluded.held, excluded.allocated, excluded.allotted, excluded.unconfirmed, excluded.closed,
   excluded.shortfall, excluded.available, excluded.doubted)
"""
LOTS = """
insert into lot select * from json_populate_recordset(null::lot, $1::text::json)
on conflict (id) do update set
  (state, released, rejected, on_hand) = (excluded.state, excluded.released, excluded.rejected, excluded.on_hand)
"""
RESERVATIONS = """
insert into reservation (id, pool, order_id, state, expires_at)
select id, pool, order_id, state, expires_at
from json_populate_recordset(null::reservation, $1::text::json) with ordinality order by ordinality
on conflict (id) do update set (state, expires_at) = (excluded.state, excluded.expires_at)
"""
"""New reservations are numbered in the order of the rows: the higher `no` is the newer one."""
RESERVATION_LINES = """
insert into reservation_line select * from json_populate_recordset(null::reservation_line, $1::text::json)
on conflict (reservation, line) do update set (item, quantity) = (excluded.item, excluded.quantity)
"""
ALLOTMENTS = """
insert into allotment select * from json_populate_recordset(null::allotment, $1::text::json)
on conflict (terminal, pool, item) do update set
  (granted, returned, sold, overdrawn, lost, allotted, unconfirmed, version, lease_until, counted, closed,
   doubted, confirmed) =
  (excluded.granted, excluded.returned, excluded.sold, excluded.overdrawn, excluded.lost, excluded.allotted,
   excluded.unconfirmed, excluded.version, excluded.lease_until, excluded.counted, excluded.closed,
   excluded.doubted, excluded.confirmed)
"""
SALES = """
insert into sale select * from json_populate_recordset(null::sale, $1::text::json)
on conflict (id) do update set voided = excluded.voided
"""
MOVEMENTS = """
insert into movement (id, pool, item, source, target, quantity, cause, lot, inferred, actor, at)
select id, pool, item, source, target, quantity, cause, lot, inferred, actor, at
from json_populate_recordset(null::movement, $1::text::json) with ordinality order by ordinality
"""
"""Movements are numbered in the order of the rows."""
EXPLANATIONS = "insert into reason select * from json_populate_recordset(null::reason, $1::text::json)"
CATALOG = """
insert into catalog select * from json_populate_recordset(null::catalog, $1::text::json) order by kind, id
on conflict (kind, id) do update set body = excluded.body
"""
"""Sorted, so that two transactions that write the same entries can't wait for each other."""
