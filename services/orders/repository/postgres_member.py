"""Members in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.orders.domain.member import Sought
from services.orders.repository import statements
from services.orders.repository.statements import Connection
from services.orders.repository.store import MemberStore


class PostgresMembers(MemberStore):
    """The table of members."""

    _conn: Connection

    async def find_or_make_members(self, sought: Sequence[Sought]) -> dict[UUID, UUID]:
        found: dict[UUID, UUID] = {}
        for _ in range(2):  # a member that another transaction has just made is seen by the next statement
            missing = [one for one in sought if one.order not in found]
            rows = await statements.write(self._conn, statements.MEMBERS, missing)
            found |= {row["order"]: row["member_id"] for row in rows}
            if all(one.order in found or not one.makes for one in missing):
                break
        return found
