"""Members in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from services.kit.database import lock_rows
from services.orders.domain.member import Account, Credit, Member, Sought
from services.orders.domain.order.order import UNKEPT
from services.orders.repository import rows, statements
from services.orders.repository.statements import Connection
from services.orders.repository.store import MemberStore

_OWED = """
select member_id, sum(fen)::bigint as fen from (
  select member_id, total_fen - paid_fen + refunded_fen as fen from orders
  where member_id = any($1::uuid[]) and payment = 'on_account' and state <> all($2::text[])
  union all
  select member_id, total_fen from campaign_join
  where member_id = any($1::uuid[]) and payment = 'on_account' and state = 'pledged'
) as owed group by member_id
"""


class PostgresMembers(MemberStore):
    """The table of members."""

    _conn: Connection

    async def find_or_make_members(self, sought: Sequence[Sought]) -> dict[UUID, UUID]:
        found: dict[UUID, UUID] = {}
        for _ in range(2):  # a member that another transaction has just made is seen by the next statement
            missing = [one for one in sought if one.order not in found]
            known = await statements.write(self._conn, statements.MEMBERS, missing)
            found |= {row["order"]: row["member_id"] for row in known}
            if all(one.order in found or not one.makes for one in missing):
                break
        return found

    async def lock_accounts(self, members: Collection[UUID]) -> dict[UUID, Account]:
        if not members:
            return {}
        locked = await lock_rows(self._conn, "member", list(members), column="member_id")
        owed = {row["member_id"]: row["fen"] for row in await self._conn.fetch(_OWED, list(members), [*UNKEPT])}
        return {row["member_id"]: Account(rows.credit_of(row), owed.get(row["member_id"], 0)) for row in locked}

    async def lock_member(self, id: UUID) -> Member | None:
        found = await lock_rows(self._conn, "member", [id], column="member_id")
        return rows.member_of(found[0]) if found else None

    async def save_credit(self, id: UUID, credit: Credit) -> None:
        await self._conn.execute(
            "update member set (credit, limit_fen, subject) = ($2, $3, $4) where member_id = $1",
            id,
            credit.allowed,
            credit.limit_fen,
            credit.subject,
        )
