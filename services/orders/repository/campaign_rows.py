"""A campaign and its joins as rows and back. The columns of a table stand here once."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from pydantic import TypeAdapter

from contracts.events.campaign import CampaignGood, Rule, Threshold
from contracts.events.orders import OrderLine
from services.orders.domain.campaign.campaign import Campaign, CampaignState, Tally, Terms
from services.orders.domain.campaign.join import Join, JoinState
from services.orders.repository import order_rows
from services.orders.repository.order_rows import Connection

TERMS = {
    "campaign_id": "uuid",
    "market_day": "text",
    "community": "text",
    "pool": "text",
    "closes_at": "timestamptz",
    "day_closes_at": "timestamptz",
    "opened_at": "timestamptz",
    "goods": "jsonb",
    "threshold": "jsonb",
    "shortfall": "text",
}
STANDING = {
    "state": "text",
    "unsettled": "integer",
    "settled": "boolean",
    "reached": "bigint",
    "reason": "text",
    "version": "integer",
}
TALLY = {"campaign_id": "uuid", "joined": "integer", "standing": "integer", "pledged": "jsonb"}
JOIN = {"n": "integer", "member": "integer", "lines": "jsonb", "body_hash": "bytea"}
JOIN_STANDING = {"state": "text", "granted": "jsonb", "refunded_fen": "bigint"}
_LINES, _GOODS = TypeAdapter(list[OrderLine]), TypeAdapter(tuple[CampaignGood, ...])


def terms_row(terms: Terms) -> tuple[Any, ...]:
    """The values of the columns `TERMS`."""
    return (
        terms.campaign,
        terms.market_day,
        terms.community,
        terms.pool,
        terms.closes_at,
        terms.day_closes_at,
        terms.opened_at,
        _GOODS.dump_json(terms.goods).decode(),
        terms.threshold.model_dump_json(),
        terms.shortfall,
    )


def standing_row(campaign: Campaign) -> tuple[Any, ...]:
    """The values of the columns `STANDING`."""
    return (
        campaign.state,
        campaign.left,
        campaign.settled,
        campaign.reached,
        campaign.reason,
        campaign.version,
    )


def campaign_of(row: asyncpg.Record) -> Campaign:
    """The campaign that a row is."""
    plain = ("market_day", "community", "pool", "closes_at", "day_closes_at", "opened_at")
    terms = Terms(
        campaign=row["campaign_id"],
        **{name: row[name] for name in plain},
        goods=_GOODS.validate_json(row["goods"]),
        threshold=Threshold.model_validate_json(row["threshold"]),
        shortfall=Rule(row["shortfall"]),
    )
    where = CampaignState(row["state"]), row["version"], row["unsettled"], row["settled"], row["reached"], row["reason"]
    return Campaign(terms, *where)


def tally_row(campaign: UUID, tally: Tally) -> tuple[Any, ...]:
    """The values of the columns `TALLY`."""
    return campaign, tally.joined, tally.standing, orjson.dumps(tally.pledged).decode()


def join_row(join: Join, digest: bytes) -> tuple[Any, ...]:
    """The values of the columns of an order's terms, then of `JOIN`, then of `JOIN_STANDING`."""
    lines = _LINES.dump_json(list(join.terms.lines)).decode()
    return *order_rows.terms_row(join.terms), join.n, join.member, lines, digest, *_join_standing(join)


def _join_standing(join: Join) -> tuple[Any, ...]:
    granted = None if join.granted is None else orjson.dumps(join.granted).decode()
    return join.state, granted, join.refunded_fen


def join_of(row: asyncpg.Record) -> Join:
    """The join that a row is."""
    granted = None if row["granted"] is None else tuple(orjson.loads(row["granted"]))
    terms = order_rows.terms_of(row, _LINES.validate_json(row["lines"]))
    where = JoinState(row["state"]), granted, row["refunded_fen"]
    return Join(row["join_id"], row["campaign_id"], row["n"], row["member"], terms, *where)


async def tallies(conn: Connection, campaigns: Collection[UUID], *, lock: bool = False) -> dict[UUID, Tally]:
    """The tallies of these campaigns; locked in order of id where asked for, after their head rows."""
    statement = "select * from campaign_tally where campaign_id = any($1::uuid[]) order by campaign_id"
    found = await conn.fetch(statement + " for update" if lock else statement, list(campaigns))
    return {r["campaign_id"]: Tally(r["joined"], r["standing"], orjson.loads(r["pledged"])) for r in found}


async def save_joins(conn: Connection, joins: Collection[Join]) -> None:
    """Writes where joins stand, and forgets the persons of those that have ended."""
    if not joins:
        return
    columns = {"join_id": "uuid", **JOIN_STANDING}
    changes = ", ".join(f"{name} = r.{name}" for name in JOIN_STANDING)
    await conn.execute(
        f"update campaign_join set {changes} from {order_rows.unnest(columns)} as r({', '.join(columns)}) "  # noqa: S608
        "where campaign_join.join_id = r.join_id",
        *map(list, zip(*((join.id, *_join_standing(join)) for join in joins), strict=True)),
    )
    ended = [join.terms.order for join in joins if join.state is not JoinState.PLEDGED]
    if ended:
        await conn.execute("delete from campaign_person where order_id = any($1::uuid[])", ended)
