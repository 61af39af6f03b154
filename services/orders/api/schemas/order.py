"""The request models of orders, and their commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from contracts.events.dispatch import Quote
from contracts.values import MOBILE_ID, CancelReason, Channel, Fulfilment, Payment, Principal, Slug, Token
from services.kit.http import problems
from services.kit.http.body import Body
from services.kit.http.bounded import VISIBLE, AmountFen, Instant, Latitude, Longitude, Name
from services.kit.http.idempotency import content_hash
from services.kit.ids import Id, id_of_request
from services.orders.api.schemas.payment import ReceiptIn
from services.orders.commands.goods import Goods
from services.orders.commands.place_orders import PlaceOrder
from services.orders.domain.access import account_of, may_promise
from services.orders.domain.capability import Visitor, owner_of
from services.orders.domain.catalogue_views import may_order_on
from services.orders.domain.hold import RESIDENT_KIND, Holder
from services.orders.domain.order.order import Cancel
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
    receipt: ReceiptIn | None = None
    owner_digest: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{43}$",
        description="from a client without an account, in place of a token: the SHA-256, in base64url, of a secret "
        "that it made; the same for all of its orders. The answer then has the `capability` of the order",
    )

    def command(self, key: str | None, caller: Principal) -> PlaceOrder:
        """Return the caller's command under the id of the body, or else of the Idempotency-Key. The same content of two
        owners has two digests. Raises `UnusableId`, a 401 without an owner, and a 422 for a channel, community or
        payment that the caller may not choose.
        """
        owner = self._owner(caller)
        if not may_order_on(caller, Channel(self.channel)):
            raise problems.unprocessable("/channel", f"you can't order on channel {self.channel}: send app")
        if not caller.bounds.permit("communities", self.community):
            raise problems.unprocessable("/community", f"you can't order for community {self.community}")
        check_payment(caller, Payment(self.payment), self.receipt)
        content = self.model_dump(exclude={"owner_digest"})
        id = content.pop("order_id")
        if self.receipt is None:
            del content["receipt"]  # the digest of an order without one stays what it was
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
            owner=owner,
            tenant=caller.tenant,
            receipt=self.receipt.payment if self.receipt else None,
            account=account_of(caller, Payment(self.payment)),
        )
        address = how.address if isinstance(how, DeliveryIn) else None
        recipient = recipient_of(self.recipient, address)
        kept = without_person({"order_id": id, **content})
        digest = content_hash(content if owner is None else {**content, "owner": owner})
        id, actor = id_of_request(key, id, owner), owner or caller.subject
        return PlaceOrder(id, draft, recipient, digest, kept, actor, caller.tenant, self._holder(caller, owner))

    def _holder(self, caller: Principal, owner: str | None) -> Holder | None:
        if owner is None or self.payment != "pending":
            return None
        if isinstance(caller, Visitor):
            return Holder(owner, caller.address)
        return Holder(owner) if caller.kind == RESIDENT_KIND else None

    def _owner(self, caller: Principal) -> str | None:
        if self.owner_digest is None:
            if isinstance(caller, Visitor):
                raise problems.unauthorized("Send a bearer token in the Authorization header, or an owner_digest")
            return caller.owner
        if caller.owner is not None and not isinstance(caller, Visitor):
            raise problems.unprocessable("/owner_digest", "is for clients without an account: leave it out")
        return owner_of(self.owner_digest)


def check_payment(caller: Principal, payment: Payment, receipt: ReceiptIn | None) -> None:
    """Raise a 422 for terms of payment that the caller may not choose, and for a receipt that they don't need."""
    if receipt and payment is not Payment.PREPAID:
        raise problems.unprocessable("/receipt", f"{payment} has no receipt: send prepaid, or leave the receipt out")
    if not may_promise(caller, payment, has_receipt=receipt is not None):
        advice = f"{payment} needs a receipt or a credit: send pending, and pay while the stock is held"
        raise problems.unprocessable("/payment", advice)


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
