"""Receipts of payment providers in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from services.orders.domain.payment import Notice, Receipt
from services.orders.repository import rows, statements
from services.orders.repository.statements import Connection
from services.orders.repository.store import PaymentStore, ReceiptKey

_FIND = """
select r.* from receipt r join unnest($1::text[], $2::text[]) as k(provider, transaction_id)
using (provider, transaction_id)
"""


class PostgresPayments(PaymentStore):
    """The tables of receipts."""

    _conn: Connection

    async def insert_receipt(self, receipt: Receipt) -> bool:
        return bool(await statements.write(self._conn, statements.RECEIPT, [rows.receipt_row(receipt)]))

    async def find_receipts(self, keys: Collection[ReceiptKey]) -> dict[ReceiptKey, Receipt]:
        return await self._read(_FIND, keys)

    async def lock_receipts(self, keys: Collection[ReceiptKey]) -> dict[ReceiptKey, Receipt]:
        return await self._read(f"{_FIND} order by provider, transaction_id for update of r", keys) if keys else {}

    async def _read(self, statement: str, keys: Collection[ReceiptKey]) -> dict[ReceiptKey, Receipt]:
        columns = zip(*keys, strict=True) if keys else ((), ())
        receipts = map(rows.receipt_of, await self._conn.fetch(statement, *map(list, columns)))
        return {receipt.notice.key: receipt for receipt in receipts}

    async def save_receipts(self, receipts: Sequence[Receipt]) -> None:
        await statements.write(self._conn, statements.RECEIPT_STATES, [rows.receipt_row(one) for one in receipts])

    async def record_receipt_conflict(self, notice: Notice, now: datetime) -> None:
        row = rows.notice_row(notice) | {"received_at": now, "seen": 1}
        await statements.write(self._conn, statements.RECEIPT_CONFLICT, [row])
