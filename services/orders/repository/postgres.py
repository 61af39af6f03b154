"""The tables of orders in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass

from services.orders.repository.postgres_campaign import PostgresCampaigns
from services.orders.repository.postgres_catalog import PostgresCatalog
from services.orders.repository.postgres_member import PostgresMembers
from services.orders.repository.postgres_order import PostgresOrders
from services.orders.repository.postgres_payment import PostgresPayments
from services.orders.repository.postgres_stall import PostgresStalls
from services.orders.repository.statements import Connection
from services.orders.repository.store import Store


@dataclass(frozen=True, eq=False)
class PostgresStore(
    PostgresOrders, PostgresCampaigns, PostgresPayments, PostgresMembers, PostgresCatalog, PostgresStalls, Store
):
    """All tables over one connection or pool."""

    _conn: Connection
