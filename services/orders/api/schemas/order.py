"""What clients send about orders, and how an order is shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from contracts.events.dispatch import Quote
from contracts.values import MOBILE_ID, CancelReason, Channel, Fulfilment, Payment, Slug, Token
from services.kit.http.body import Body
from services.kit.http.bounded import VISIBLE, AmountFen, Grams, Instant, Latitude, Longitude, Name, Pieces
from services.kit.http.idempotency import content_hash
from services.kit.ids import Id
from services.orders.domain.order.order import Cancel, Order, OrderState, Terms
from services.orders.domain.order.policy import Draft, Wanted
from services.orders.domain.order.recipient import Recipient

PHONE = r"^\+?[0-9](?:[ -]?[0-9]){4,14}$"


class Goods(Body):
    """An item and how much of it: pieces, or grams where the item is weighed."""

    item: Slug
    quantity: Pieces | None = None
    weight_g: Grams | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.quantity is None) == (self.weight_g is None):
            raise ValueError("exactly one of quantity (pieces) and weight_g (grams) is required")
        return self


class RecipientIn(Body):
    """Who receives the order."""

    name: Name
    phone: str = Field(max_length=30, pattern=PHONE, description="5 to 15 digits; single spaces or hyphens between")


class Address(Body):
    """A door, and where it is (WGS-84)."""

    text: Annotated[str, Field(min_length=1, max_length=200), VISIBLE]
    lat: Latitude
    lon: Longitude


class QuoteIn(Quote, extra="forbid"):
    """A quote exactly as `GET /v1/promises` gave it."""

    slot_from: Instant
    slot_until: Instant
    until: Instant


class DeliveryIn(Body):
    """Brought by a courier."""

    kind: Literal["delivery"]
    address: Address
    quote: QuoteIn | None = None


class Pickup(Body):
    """Fetched at a pickup point."""

    kind: Literal["pickup"]
    point: Slug


class NewOrder(Body):
    """An order to be taken. Its lines are of one stock pool: that of its community on its market day."""

    order_id: Id | None = None
    basket_id: Id | None = None
    channel: Literal["app", "group", "live", "stall"]
    market_day: Slug
    community: Slug
    recipient: RecipientIn
    lines: list[Goods] = Field(min_length=1, max_length=100)
    fulfilment: Annotated[DeliveryIn | Pickup, Field(discriminator="kind")]
    payment: Literal["on_account", "prepaid", "pending"]

    def digest(self) -> bytes:
        """Equal for equal content, whatever the id and the spelling."""
        return content_hash(self.model_dump(exclude={"order_id"}))

    def without_person(self) -> dict[str, Any]:
        """The content as JSON values, nobody named and no door."""
        return self.model_dump(mode="json", exclude={"recipient": True, "fulfilment": {"address"}})

    def draft(self) -> Draft:
        """What the domain is asked."""
        how = self.fulfilment
        return Draft(
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

    def person(self) -> Recipient:
        """Who receives it, and where."""
        who, how = self.recipient, self.fulfilment
        if isinstance(how, Pickup):
            return Recipient(who.name, who.phone)
        return Recipient(who.name, who.phone, how.address.text, how.address.lat, how.address.lon)


class CancelIn(Body):
    """Why an order is to end; may be left out. Only the code is told; words stay here, and the buyer may erase them."""

    reason: str = Field(
        default=CancelReason.OTHER,
        max_length=200,
        description="one of changed-mind, ordered-twice, wrong-address, too-late, other; any other text is `other`, "
        "and kept as a note",
    )
    note: str = Field(default="", max_length=200)

    def ask(self) -> Cancel:
        """What the order is asked."""
        return Cancel(*CancelReason.of(self.reason, self.note))


def _no_phone(id: str) -> str:
    # It is told with the refund, to whoever may read orders.order.v1.
    if MOBILE_ID.search(id):
        raise PydanticCustomError("phone", "must be the payer's own id of the payment, not a telephone number")
    return id


class EraseIn(Body):
    """Why a person is erased: at whose wish, or which period is over. Kept for ever, so it names nobody."""

    why: Annotated[str, Field(min_length=1, max_length=200), VISIBLE]


class PayIn(Body):
    """Money that came for an order: the payer's own id of the payment, and the order's total in fen."""

    payment_id: Annotated[Token, AfterValidator(_no_phone)]
    amount_fen: AmountFen


class CollectIn(Body):
    """The code that the buyer shows at the point."""

    code: str = Field(min_length=1, max_length=16)


def accepted(order: Order) -> dict[str, Any]:
    """The answer to a taken order. Made of its terms alone, so a repeat gets it again, byte for byte."""
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


def lines_of(terms: Terms) -> list[dict[str, Any]]:
    """The lines as they are shown, quantities in pieces or grams, with their frozen prices."""
    return [
        {
            "line": one.line,
            "item": one.item,
            "weight_g" if one.unit == "gram" else "quantity": one.quantity,
            "price_fen": one.price_fen,
            "price": one.price,
            "amount_fen": one.amount_fen,
        }
        for one in terms.lines
    ]


def shown(order: Order, person: Mapping[str, Any] | None, *, trusted: bool) -> dict[str, Any]:
    """An order as it stands. Only the buyer and operators (`trusted`) see the person and the code."""
    view: dict[str, Any] = accepted(order) | {
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
    if trusted:
        return view | {"recipient": person}
    del view["code"]
    return view


def _slot(order: Order) -> dict[str, str | datetime | bool | None] | None:
    if order.wave is None:
        return None
    slot = {"wave": order.wave, "from": order.slot_from, "until": order.slot_until}
    return slot | {"as_promised": order.as_promised}
