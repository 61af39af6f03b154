"""The routes of members: list, read, credit."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from contracts.values import Principal, Slug
from services.kit.http import problems, responses
from services.kit.http.dependencies import After, Limit
from services.orders.api.callers import Accountant, MemberReader, Orders
from services.orders.api.schemas import member as s
from services.orders.commands.members import set_credit
from services.orders.domain.access import sees_member
from services.orders.repository import queries

router = APIRouter(prefix="/v1/members", tags=["members"])


@router.get("", response_model=s.MemberPage)
async def listing(
    app: Orders, caller: MemberReader, community: Slug, limit: Limit = 100, cursor: After = ""
) -> Response:
    """List the members of a community in order of id, without names and phones; none of one out of bounds."""
    found = []
    if sees_member(caller, community):
        found = await queries.members(app.context.pool, community, s.id_of(cursor), limit)
    return responses.page([s.member_view(row) for row in found], limit, "member_id")


@router.get("/{member}", response_model=s.MemberView)
async def one(app: Orders, member: Slug, caller: MemberReader) -> Response:
    """Return a member of the caller's communities."""
    return responses.json(s.member_view(await _find(app, member, caller)))


@router.put("/{member}:credit", response_model=s.MemberView)
async def credit(app: Orders, member: Slug, body: s.CreditIn, caller: Accountant) -> Response:
    """Set the credit of a member: the subject that may order on its account, and the most that it may owe. Idempotent;
    orders on account that exist are not changed.
    """
    await set_credit(app.context, s.id_of(member), body.credit(), caller, partial(sees_member, caller))
    return responses.json(s.member_view(await _find(app, member, caller)))


async def _find(app: Orders, member: str, caller: Principal) -> dict[str, Any]:
    row = await queries.member(app.context.pool, s.id_of(member))
    if row is None or not sees_member(caller, row["community"]):
        raise problems.not_found(f"member {member}")
    return row
