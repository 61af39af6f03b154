"""Receipts of payment providers in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from services.orders.domain.payment import Notice, Receipt
from services.orders.repository import rows, statements
from services.orders.repository.statements import Connection
from services.orders.repository.store import PaymentStore, ReceiptKey


class PostgresPayments(PaymentStore):
    """The tables of receipts."""

    _conn: Connection

    async def insert_receipt(self, receipt: Receipt) -> bool:
        return bool(await statements.write(self._conn, statements.RECEIPT, [rows.receipt_row(receipt)]))

    async def find_receipts(self, keys: Collection[ReceiptKey]) -> dict[ReceiptKey, Receipt]:
        found = await self._conn.fetch(
            "select r.* from receipt r join unnest($1::text[], $2::text[]) as k(provider, transaction_id) "
            "using (provider, transaction_id)",
            [provider for provider, _ in keys],
            [transaction for _, transaction in keys],
        )
        receipts = map(rows.receipt_of, found)
        return {receipt.notice.key: receipt for receipt in receipts}

    async def record_receipt_conflict(self, notice: Notice, now: datetime) -> None:
        row = rows.notice_row(notice) | {"received_at": now, "seen": 1}
        await statements.write(self._conn, statements.RECEIPT_CONFLICT, [row])
