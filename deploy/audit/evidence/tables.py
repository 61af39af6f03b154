"""The tables of the databases, each database as of one instant."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg

from contracts.topics import ACCESS, DEPLOYED, DISPATCH, INVENTORY, ORDERS
from deploy.audit.invariants.facts import Row
from deploy.local.errors import StackError

# Ids are text; a column named by a keyword has a plain name. Of the archive and the outbox only what has to be
# compared: a digest stands for the bytes.
_KIT = {
    "outbox": "select id, topic, key, subject, seq, event_id::text, headers::text, payload, held, "
    "extract(epoch from clock_timestamp() - created_at)::float as age_s from outbox order by id",
    "outbox_sent": "select id, topic, subject, seq, event_id::text, headers ->> 'ce_type' as type, "
    'sha256(payload) as digest, partition, "offset" as position from outbox_sent order by id',
    "inbox": "select consumer, event_id::text from inbox",
    "parked": 'select id, consumer, scope, event_id::text, topic, partition, "offset" as position, headers::text, '
    "payload, error, attempts, discarded_at is not null as discarded, why from parked order by id",
}
_ORDERS = {
    "catalog": "select kind, id, body::text from catalog order by kind, id",
    "orders": "select order_id::text, pool, fulfilment, payment, total_fen, state, attempt, reservation::text, "
    "job::text, wave, paid_fen, refunded_fen, version, join_id::text from orders order by order_id",
    "order_line": "select order_id::text, line, item, quantity, amount_fen from order_line order by order_id, line",
    "order_history": "select order_id::text, n, from_state, to_state, message from order_history order by order_id, n",
    "payment": "select order_id::text, payment_id, amount_fen from payment order by order_id, payment_id",
    "refund": "select order_id::text, payment_id, amount_fen from refund order by order_id, payment_id",
    "receipt": "select provider, transaction_id, amount_fen, pays::text from receipt order by n",
    "recipient": "select order_id::text, name, phone, address from recipient",
    "erased": "select order_id::text from erased order by order_id",
    "campaign": "select campaign_id::text, pool, state, unsettled, settled from campaign order by campaign_id",
    "campaign_join": "select join_id::text, campaign_id::text, payment, total_fen, state, refunded_fen, "
    "lines::text, granted::text, receipt from campaign_join order by campaign_id, n",
    "campaign_tally": "select campaign_id::text, joined, standing, pledged::text from campaign_tally",
    "campaign_person": "select order_id::text, name, phone, address from campaign_person",
    "stall_sale": "select sale::text, terminal, pool, device, session, seq, total_fen from stall_sale",
    "stall_sale_line": "select sale::text, item, quantity from stall_sale_line order by sale, line",
    "stall_void": "select sale::text from stall_void",
    "terminal_allotment": "select terminal, pool, item, granted_total, returned_total, version from terminal_allotment",
}
_INVENTORY = {
    "catalog": "select kind, id, body::text from catalog order by kind, id",
    "stock": "select pool, item, on_hand, held, allocated, allotted, unconfirmed, shortfall, available, closed "
    "from stock order by pool, item",
    "lot": "select id::text, pool, item, received, released, rejected, on_hand from lot order by id",
    "movement": "select m.id::text, m.pool, m.item, source, target, quantity, m.cause, lot::text, inferred, "
    "r.code as reason from movement m left join reason r using (cause) order by n",
    "reservation": "select id::text, pool, order_id::text, state from reservation order by no",
    "reservation_line": "select reservation::text, item, quantity from reservation_line order by reservation, line",
    "allotment": "select terminal, pool, item, granted, returned, allotted, unconfirmed, version from allotment "
    "order by pool, terminal, item",
    "sale": "select id::text, terminal, pool, voided from sale",
}
_DISPATCH = {
    "recipient": 'select "order"::text as order_id from recipient where name is not null',
    "catalog": "select key, type, body::text from catalog order by key",
    "job": 'select id::text, "order"::text as order_id, reservation::text, state, lines::text, wave from job '
    "order by id",
    "wave": "select id, blocked from wave where blocked is not null order by id",
}
TABLES = {ORDERS: _KIT | _ORDERS, INVENTORY: _KIT | _INVENTORY, DISPATCH: _KIT | _DISPATCH, ACCESS: _KIT}


async def read_tables(service: str, conn: Any) -> dict[tuple[str, str], list[Row]]:
    """Read the tables of one service that the audit needs, in the caller's transaction."""
    return {(service, table): await conn.fetch(query) for table, query in TABLES[service].items()}


async def read_databases(urls: Mapping[str, str]) -> dict[tuple[str, str], list[Row]]:
    """Read all tables of all services. Raises `StackError` when a database does not answer."""
    found = await asyncio.gather(*(_read(service, urls[service]) for service in DEPLOYED))
    return {name: rows for tables in found for name, rows in tables.items()}


async def _read(service: str, url: str) -> dict[tuple[str, str], list[Row]]:
    try:
        conn = await asyncpg.connect(url, timeout=10)
        try:
            async with conn.transaction(isolation="repeatable_read", readonly=True):
                return await read_tables(service, conn)
        finally:
            await conn.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StackError(f"the database of {service} can't be read: {error}") from None
