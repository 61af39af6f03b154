"""The response models of orders."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NotRequired, cast
from uuid import UUID

from typing_extensions import TypedDict

from contracts.events.orders import OrderLine
from contracts.values import Channel, Fulfilment, Payment, Unit
from services.kit.transaction.access_log import Shown
from services.orders.domain.capability import CapabilityKey
from services.orders.domain.order.order import Order, OrderState, Terms


class Line(TypedDict):
    """A line with its frozen price: `quantity` in pieces, or `weight_g` for weighed goods."""

    line: int
    item: str
    quantity: NotRequired[int]
    weight_g: NotRequired[int]
    price_fen: int
    price: str
    amount_fen: int


class AcceptedTerms(TypedDict):
    """The terms of an order. `code` is for the buyer only: the receiver gives it to the courier, or shows it at the
    point.
    """

    order_id: UUID
    state: OrderState
    basket_id: UUID | None
    channel: Channel
    market_day: str
    community: str
    pool: str
    fulfilment: Fulfilment
    point: str | None
    payment: Payment
    lines: list[Line]
    total_fen: int
    code: NotRequired[str]
    placed_at: datetime


class OrderAccepted(AcceptedTerms):
    """A placed order. `code` is for the buyer only. `capability`, for a client without an account, opens this order:
    `Authorization: Capability SECRET`.
    """

    capability: NotRequired[str]


Slot = TypedDict("Slot", {"wave": str, "from": datetime | None, "until": datetime | None, "as_promised": bool})
"""The planned slot of a delivery."""


class RecipientView(TypedDict):
    """The recipient of an order, with the address and position of a delivery."""

    name: str
    phone: str
    address: str
    lat: float | None
    lon: float | None


class OrderView(AcceptedTerms):
    """An order in its current state. `code` and `recipient` are for the buyer and operators only; a change of an order
    returns no recipient, and an erased one is null.
    """

    version: int
    attempt: int
    reason: str
    reservation: UUID
    campaign_id: UUID | None
    hold_until: datetime | None
    slot: Slot | None
    due_by: datetime
    paid_fen: int
    refunded_fen: int
    job: NotRequired[UUID]
    recipient: NotRequired[RecipientView | None]
    member: NotRequired[str]


class OrderListed(TypedDict):
    """An order in a list."""

    order_id: UUID
    state: OrderState
    version: int
    channel: Channel
    market_day: str
    community: str
    pool: str
    fulfilment: Fulfilment
    payment: Payment
    total_fen: int
    paid_fen: int
    refunded_fen: int
    reason: str
    wave: str | None
    placed_at: datetime


class OrderPage(TypedDict):
    """A page of orders in order of id; `next` is the cursor of the next page, null on the last."""

    items: list[OrderListed]
    next: UUID | None


class Step(TypedDict):
    """A step of an order: its states, the type of its message and the id of its cause. For the buyer and operators also
    the actor, a subject or the service that sent the message, and a note.
    """

    n: int
    from_state: OrderState | None
    to_state: OrderState
    message: str
    cause: str
    reason: str
    at: datetime
    actor: NotRequired[str | None]
    note: NotRequired[str | None]


class OrderHistory(TypedDict):
    """Every step of an order, in order."""

    order_id: UUID
    steps: list[Step]


class Erasure(TypedDict):
    """The time, role and reason of an erasure."""

    order_id: UUID
    erased_at: datetime
    erased_by: str
    why: str


class ErasurePage(TypedDict):
    """A page of erasures in order of the orders' ids; `next` is the cursor of the next page, null on the last."""

    items: list[Erasure]
    next: UUID | None


class Answer(TypedDict):
    """The answer to one order of a batch: `order` with status 201, else `problem`, a problem document."""

    status: int
    order_id: UUID | None
    order: NotRequired[OrderAccepted]
    problem: NotRequired[dict[str, Any]]


class Answers(TypedDict):
    """One answer for each order of a batch, in its order."""

    answers: list[Answer]


def accepted(order: Order) -> OrderAccepted:
    """Return the answer to a placed order. It depends on the terms alone, so a repeat gets the same bytes."""
    terms = order.terms
    return {
        "order_id": terms.order,
        "state": OrderState.PLACED,
        "basket_id": terms.basket,
        "channel": terms.channel,
        "market_day": terms.market_day,
        "community": terms.community,
        "pool": terms.pool,
        "fulfilment": terms.fulfilment,
        "point": terms.point,
        "payment": terms.payment,
        "lines": lines_of(terms),
        "total_fen": terms.total_fen,
        "code": terms.code,
        "placed_at": terms.placed_at,
    }


def with_capability(view: OrderAccepted, key: CapabilityKey | None) -> OrderAccepted:
    """Return the answer to a client without an account: with the order's capability, if there is a key of these."""
    return {**view, "capability": key.secret(view["order_id"])} if key else view


def lines_of(terms: Terms) -> list[Line]:
    """Return the lines with quantities in pieces or grams, and their frozen prices."""
    return [_line(one) for one in terms.lines]


def _line(line: OrderLine) -> Line:
    view: dict[str, Any] = {
        "line": line.line,
        "item": line.item,
        "weight_g" if line.unit is Unit.GRAM else "quantity": line.quantity,
        "price_fen": line.price_fen,
        "price": line.price,
        "amount_fen": line.amount_fen,
    }
    return cast("Line", view)


def order_view(order: Order, *, trusted: bool) -> OrderView:
    """Return an order in its current state; its code for the buyer and operators (`trusted`) only."""
    view: dict[str, Any] = {
        **accepted(order),
        "state": order.state,
        "version": order.version,
        "attempt": order.attempt,
        "reason": order.reason,
        "reservation": order.reservation,
        "campaign_id": order.terms.campaign,
        "hold_until": order.hold_until,
        "slot": _slot(order),
        "due_by": order.terms.due_by,
        "paid_fen": order.paid_fen,
        "refunded_fen": order.refunded_fen,
    }
    if order.terms.is_delivery:
        view["job"] = order.job
    if not trusted:
        del view["code"]
    return cast("OrderView", view)


def with_recipient(order: Order, recipient: Mapping[str, Any] | None) -> OrderView:
    """Return an order in its current state with its code and recipient, None once erased."""
    return cast("OrderView", {**order_view(order, trusted=True), "recipient": recipient})


def shown_by(view: OrderView) -> set[Shown]:
    """Return the classes of personal data in a view of an order."""
    recipient = view.get("recipient")
    found = {Shown.CODE} if view.get("code") else set()
    return (
        found
        | ({Shown.PERSON} if recipient else set())
        | ({Shown.ADDRESS} if recipient and recipient["address"] else set())
    )


def _slot(order: Order) -> Slot | None:
    if order.wave is None:
        return None
    return {
        "wave": order.wave,
        "from": order.slot_from,
        "until": order.slot_until,
        "as_promised": order.as_promised,
    }


def with_member(order: Order, *, shown: bool) -> dict[str, str]:
    """Return the field `member` of an order that has one, where it is `shown`."""
    return {"member": f"member.{order.terms.member}"} if shown and order.terms.member else {}
