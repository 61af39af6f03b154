"""Maps orders, campaigns and joins to rows and back. Most columns are fields of the domain's dataclasses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
import orjson
from pydantic import TypeAdapter

from contracts.events.campaign import CampaignGood, Rule, Threshold
from contracts.events.dispatch import Quote
from contracts.events.orders import OrderLine
from contracts.values import MAIN_TENANT, Channel, Fulfilment, Payment, Unit
from services.kit.http.idempotency import capped
from services.orders.domain.campaign.campaign import Campaign, CampaignState, Tally
from services.orders.domain.campaign.campaign import Terms as CampaignTerms
from services.orders.domain.campaign.join import Join, JoinState
from services.orders.domain.member import Credit, Member
from services.orders.domain.order.order import Awaiting, Money, Order, OrderState, Terms
from services.orders.domain.order.recipient import Recipient
from services.orders.domain.payment import Notice, Receipt

Row = dict[str, Any]
Conflict: TypeAlias = tuple[UUID, bytes, Mapping[str, Any]]
"""Another content under a used id: id, digest, content without the recipient."""


class Cause(NamedTuple):
    """The cause of a step: the id of the message, deadline or request; and its actor, the service that sent the message
    or the subject that made the request.
    """

    id: str
    actor: str


_COLUMNS = {
    "order": "order_id", "basket": "basket_id", "campaign": "campaign_id", "join": "join_id", "member": "member_id"
}  # fmt: skip
"""The columns that are not named as their fields."""
_TERMS = {f.name: _COLUMNS.get(f.name, f.name) for f in fields(Terms) if f.name != "lines"}
_STATE = tuple(f.name for f in fields(Order) if f.name not in {"terms", "money"})
_CAMPAIGN_TERMS = {f.name: _COLUMNS.get(f.name, f.name) for f in fields(CampaignTerms)}
_RECIPIENT = tuple(f.name for f in fields(Recipient))
_NOTICE = {f.name: {"order": "order_id", "transaction": "transaction_id"}.get(f.name, f.name) for f in fields(Notice)}
_LINES, _GOODS = TypeAdapter(list[OrderLine]), TypeAdapter(tuple[CampaignGood, ...])


def terms_row(terms: Terms) -> Row:
    """Return the columns of an order's terms, which `orders` and `campaign_join` share."""
    row = {column: getattr(terms, field) for field, column in _TERMS.items()}
    row["quote"] = terms.quote.model_dump(mode="json") if terms.quote else None
    row["total_fen"] = terms.total_fen
    return row


def state_row(order: Order) -> Row:
    """Return the columns of an order's state, with its id."""
    row = {name: getattr(order, name) for name in _STATE}
    row["order_id"], row["reservation"], row["job"] = order.id, order.reservation, order.job
    row["paid_fen"], row["refunded_fen"] = order.paid_fen, order.refunded_fen
    return row


def line_rows(terms: Terms) -> Iterable[Row]:
    """Return a row for each line."""
    for one in terms.lines:
        yield {
            "order_id": terms.order,
            "line": one.line,
            "item": one.item,
            "quantity": one.quantity,
            "unit": one.unit,
            "price_fen": one.price_fen,
            "price_id": one.price,
            "amount_fen": one.amount_fen,
        }


def step_row(order: Order, before: OrderState | None, message: str, cause: Cause, at: datetime) -> Row:
    """Return the history row of a step: its state before, the type of its message and its cause."""
    return {
        "order_id": order.id,
        "n": order.version,
        "from_state": before,
        "to_state": order.state,
        "message": message,
        "cause": cause.id,
        "reason": order.reason,
        "at": at,
        "actor": cause.actor,
    }


def money_row(order: UUID, money: Money, at: datetime) -> Row:
    """Return the row of a payment, or of its refund."""
    return {"order_id": order, "payment_id": money.payment, "amount_fen": money.amount_fen, "at": at}


def conflict_rows(
    column: str, stored: Iterable[asyncpg.Record], conflicts: Sequence[Conflict], now: datetime
) -> list[Row]:
    """Return the rows of other contents under used ids, given the `stored` ones of these ids: the first ten of an id
    with their content, all others in one row without. `column` is the name of the id.
    """
    contents = {(id, digest): body for id, digest, body in conflicts}
    counted = capped(((row[column], row["body_hash"]) for row in stored), [(id, digest) for id, digest, _ in conflicts])
    return [
        {column: id, "body_hash": digest, "body": contents.get((id, digest), {}), "at": now, "seen": seen}
        for (id, digest), seen in sorted(counted.items())
    ]


def recipient_row(order: UUID, recipient: Recipient) -> Row:
    """Return the row of a recipient."""
    return {"order_id": order} | {name: getattr(recipient, name) for name in _RECIPIENT}


def recipient_of(row: asyncpg.Record) -> Recipient:
    """Return the recipient in a row of `recipient` or `campaign_person`."""
    return Recipient(*(row[name] for name in _RECIPIENT))


def order_of(row: asyncpg.Record, lines: Iterable[asyncpg.Record], money: Iterable[asyncpg.Record]) -> Order:
    """Return the order in these rows."""
    values = {name: row[name] for name in _STATE}
    values["state"], values["awaiting"] = OrderState(row["state"]), Awaiting(row["awaiting"])
    payments = tuple(Money(one["payment_id"], one["amount_fen"], one["refunded"]) for one in money)
    return Order(_terms_of(row, tuple(map(_line_of, lines))), **values, money=payments)


def _terms_of(row: asyncpg.Record, lines: tuple[OrderLine, ...]) -> Terms:
    values = {field: row[column] for field, column in _TERMS.items()}
    values["channel"], values["payment"] = Channel(row["channel"]), Payment(row["payment"])
    values["fulfilment"] = Fulfilment(row["fulfilment"])
    values["quote"] = Quote.model_validate_json(row["quote"]) if row["quote"] else None
    values["tenant"] = row["tenant"] or MAIN_TENANT
    return Terms(lines=lines, **values)


def _line_of(row: asyncpg.Record) -> OrderLine:
    # Validating again is quicker than `model_construct`.
    return OrderLine(
        line=row["line"],
        item=row["item"],
        quantity=row["quantity"],
        unit=Unit(row["unit"]),
        price_fen=row["price_fen"],
        price=row["price_id"],
        amount_fen=row["amount_fen"],
    )


def credit_of(row: asyncpg.Record) -> Credit:
    """Return the credit in the row of a member."""
    return Credit(row["credit"], row["limit_fen"], row["subject"])


def member_of(row: asyncpg.Record) -> Member:
    """Return the member in a row."""
    place = row["member_id"], row["tenant"], row["community"], row["created_at"]
    return Member(*place, credit_of(row), row["phone_hash"] is None)


def notice_row(notice: Notice) -> Row:
    """Return the columns of a provider's notice."""
    return {column: getattr(notice, field) for field, column in _NOTICE.items()}


def receipt_row(receipt: Receipt) -> Row:
    """Return the row of a receipt, its number left out."""
    state = {
        "received_at": receipt.received_at, "state": receipt.state, "pays": receipt.pays, "reason": receipt.reason
    }  # fmt: skip
    return notice_row(receipt.notice) | state


def receipt_of(row: asyncpg.Record) -> Receipt:
    """Return the receipt in a row."""
    notice = Notice(**{field: row[column] for field, column in _NOTICE.items()})
    return Receipt(notice, row["received_at"], row["pays"], row["reason"])


def campaign_row(campaign: Campaign) -> Row:
    """Return the columns of a campaign, its digest left out."""
    row = {column: getattr(campaign.terms, field) for field, column in _CAMPAIGN_TERMS.items()}
    row["goods"] = _GOODS.dump_python(campaign.terms.goods, mode="json")
    row["threshold"] = campaign.terms.threshold.model_dump(mode="json")
    row["state"], row["unsettled"], row["settled"] = campaign.state, campaign.left, campaign.settled
    row["reached"], row["reason"], row["version"] = campaign.reached, campaign.reason, campaign.version
    return row


def campaign_of(row: asyncpg.Record) -> Campaign:
    """Return the campaign in a row."""
    values = {field: row[column] for field, column in _CAMPAIGN_TERMS.items()}
    values["goods"] = _GOODS.validate_json(row["goods"])
    values["tenant"] = row["tenant"] or MAIN_TENANT
    values["threshold"], values["shortfall"] = Threshold.model_validate_json(row["threshold"]), Rule(row["shortfall"])
    return Campaign(
        CampaignTerms(**values),
        state=CampaignState(row["state"]),
        version=row["version"],
        left=row["unsettled"],
        settled=row["settled"],
        reached=row["reached"],
        reason=row["reason"],
    )


def tally_row(campaign: UUID, tally: Tally) -> Row:
    """Return the row of a campaign's tally."""
    pledged: Mapping[str, int] = tally.pledged or {}
    return {"campaign_id": campaign, "joined": tally.joined, "standing": tally.standing, "pledged": pledged}


def tally_of(row: asyncpg.Record) -> Tally:
    """Return the tally in a row."""
    return Tally(row["joined"], row["standing"], orjson.loads(row["pledged"]))


def join_row(join: Join, digest: bytes) -> Row:
    """Return the row of a join."""
    lines = _LINES.dump_python(list(join.terms.lines), mode="json")
    numbers = {"n": join.n, "member": join.member, "lines": lines, "body_hash": digest}
    return terms_row(join.terms) | numbers | join_state_row(join)


def join_state_row(join: Join) -> Row:
    """Return the columns of a join's state, with its id."""
    return {"join_id": join.id, "state": join.state, "granted": join.granted, "refunded_fen": join.refunded_fen}


def join_of(row: asyncpg.Record) -> Join:
    """Return the join in a row."""
    granted: Sequence[int] | None = None if row["granted"] is None else orjson.loads(row["granted"])
    return Join(
        id=row["join_id"],
        campaign=row["campaign_id"],
        n=row["n"],
        member=row["member"],
        terms=_terms_of(row, tuple(_LINES.validate_json(row["lines"]))),
        state=JoinState(row["state"]),
        granted=None if granted is None else tuple(granted),
        refunded_fen=row["refunded_fen"],
    )
