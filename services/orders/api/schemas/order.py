"""The request and response models of orders."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, cast
from uuid import UUID

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from contracts.events.dispatch import Quote
from contracts.events.orders import OrderLine
from contracts.values import MOBILE_ID, CancelReason, Channel, Fulfilment, Payment, Slug, Token, Unit
from services.kit.http.body import Body
from services.kit.http.bounded import VISIBLE, AmountFen, Instant, Latitude, Longitude, Name
from services.kit.http.idempotency import content_hash
from services.kit.ids import Id, id_of_request
from services.orders.commands.goods import Goods
from services.orders.commands.place_orders import PlaceOrder
from services.orders.domain.order.order import Cancel, Order, OrderState, Terms
from services.orders.domain.order.policy import Draft, Wanted
from services.orders.domain.order.recipient import Recipient

PHONE = r"^\+?[0-9](?:[ -]?[0-9]){4,14}$"


class RecipientIn(Body):
    """The person who receives an order."""

    name: Name
    phone: str = Field(max_length=30, pattern=PHONE, description="5 to 15 digits; single spaces or hyphens between")


class Address(Body):
    """The address of a delivery and its position (WGS-84)."""

    text: Annotated[str, Field(min_length=1, max_length=200), VISIBLE]
    lat: Latitude
    lon: Longitude


class QuoteIn(Quote, extra="forbid"):
    """A quote exactly as `GET /v1/promises` returned it."""

    slot_from: Instant
    slot_until: Instant
    until: Instant


class DeliveryIn(Body):
    """A delivery by a courier."""

    kind: Literal["delivery"]
    address: Address
    quote: QuoteIn | None = None


class Pickup(Body):
    """A pickup at a point."""

    kind: Literal["pickup"]
    point: Slug


class NewOrder(Body):
    """An order to place. Its lines come from one stock pool: that of its community on its market day."""

    order_id: Id | None = None
    basket_id: Id | None = None
    channel: Literal["app", "group", "live", "stall"]
    market_day: Slug
    community: Slug
    recipient: RecipientIn
    lines: list[Goods] = Field(min_length=1, max_length=100)
    fulfilment: Annotated[DeliveryIn | Pickup, Field(discriminator="kind")]
    payment: Literal["on_account", "prepaid", "pending"]

    def command(self, key: str | None) -> PlaceOrder:
        """Return the command under the id of the body, or else of the Idempotency-Key. Raises `UnusableId`."""
        content = self.model_dump()
        id = content.pop("order_id")
        how = self.fulfilment
        draft = Draft(
            channel=Channel(self.channel),
            market_day=self.market_day,
            community=self.community,
            lines=tuple(Wanted(one.item, one.quantity, one.weight_g) for one in self.lines),
            fulfilment=Fulfilment(how.kind),
            payment=Payment(self.payment),
            point=how.point if isinstance(how, Pickup) else None,
            quote=how.quote if isinstance(how, DeliveryIn) else None,
            basket=self.basket_id,
        )
        address = how.address if isinstance(how, DeliveryIn) else None
        recipient = recipient_of(self.recipient, address)
        kept = without_person({"order_id": id, **content})
        return PlaceOrder(id_of_request(key, id), draft, recipient, content_hash(content), kept)


def recipient_of(recipient: RecipientIn, address: Address | None) -> Recipient:
    """Return the recipient, with the address of a delivery."""
    if address is None:
        return Recipient(recipient.name, recipient.phone)
    return Recipient(recipient.name, recipient.phone, address.text, address.lat, address.lon)


def without_person(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a body without its recipient and address."""
    fulfilment = {name: value for name, value in content["fulfilment"].items() if name != "address"}
    return {name: value for name, value in content.items() if name != "recipient"} | {"fulfilment": fulfilment}


class CancelIn(Body):
    """The reason for a cancellation; may be left out. Only its code is published; the text is stored as a note until
    the person is erased.
    """

    reason: str = Field(
        default=CancelReason.OTHER,
        max_length=200,
        description="one of changed-mind, ordered-twice, wrong-address, too-late, other; any other text is `other`, "
        "and stored as a note",
    )
    note: str = Field(default="", max_length=200)

    def request(self) -> Cancel:
        """Return the domain's request."""
        return Cancel(*CancelReason.of(self.reason, self.note))


def _no_phone(id: str) -> str:
    # It is published with the refund, for every reader of orders.order.v1.
    if MOBILE_ID.search(id):
        raise PydanticCustomError("phone", "must be the payer's own id of the payment, not a telephone number")
    return id


class EraseIn(Body):
    """The reason for an erasure, such as the person's request or an expired period. It is stored permanently, so it
    must not contain personal data.
    """

    why: Annotated[str, Field(min_length=1, max_length=200), VISIBLE]


class PayIn(Body):
    """A payment for an order: the payer's own id of it, and the order's total in fen."""

    payment_id: Annotated[Token, AfterValidator(_no_phone)]
    amount_fen: AmountFen


class CollectIn(Body):
    """The code that the buyer shows at the point."""

    code: str = Field(min_length=1, max_length=16)


class Line(TypedDict):
    """A line with its frozen price: `quantity` in pieces, or `weight_g` for weighed goods."""

    line: int
    item: str
    quantity: NotRequired[int]
    weight_g: NotRequired[int]
    price_fen: int
    price: str
    amount_fen: int


class OrderAccepted(TypedDict):
    """A placed order. `code` is for the buyer only: the receiver gives it to the courier, or shows it at the point."""

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


Slot = TypedDict("Slot", {"wave": str, "from": datetime | None, "until": datetime | None, "as_promised": bool})
"""The planned slot of a delivery."""


class RecipientView(TypedDict):
    """The recipient of an order, with the address and position of a delivery."""

    name: str
    phone: str
    address: str
    lat: float | None
    lon: float | None


class OrderView(OrderAccepted):
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
    """A step of an order: its states, the type of its message and the id of its cause; a note for the buyer and
    operators only.
    """

    n: int
    from_state: OrderState | None
    to_state: OrderState
    message: str
    cause: str
    reason: str
    at: datetime
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


def _slot(order: Order) -> Slot | None:
    if order.wave is None:
        return None
    return {
        "wave": order.wave,
        "from": order.slot_from,
        "until": order.slot_until,
        "as_promised": order.as_promised,
    }
