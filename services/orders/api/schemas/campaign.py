"""The request models of group-buys, and their commands."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, SkipValidation, Strict, model_validator

from contracts.events.campaign import Measure, Rule, Threshold
from contracts.values import Fulfilment, Payment, Principal, Slug
from services.kit.http.body import Body
from services.kit.http.bounded import Instant
from services.kit.http.idempotency import content_hash
from services.kit.ids import Id, Namespace, id_of_request, keyed_id
from services.orders.api.schemas.order import Address, Pickup, RecipientIn, check_payment, recipient_of, without_person
from services.orders.api.schemas.payment import ReceiptIn
from services.orders.commands.campaign import OpenCampaign
from services.orders.commands.goods import Goods
from services.orders.commands.join_campaign import JoinCampaign
from services.orders.domain.access import account_of, sees_campaign
from services.orders.domain.campaign.campaign import Terms
from services.orders.domain.campaign.opening import Opening
from services.orders.domain.order.policy import Wanted

_ENTRIES = Namespace("chat-entry")


class ThresholdIn(Body):
    """The threshold at which the campaign forms: a number of people, pieces, grams or fen pledged."""

    of: Literal["people", "quantity", "weight", "amount"]
    at_least: Annotated[int, Strict(), Field(ge=1, le=10**12)]


class NewCampaign(Body):
    """A campaign to open; the quantity of each of its goods is the cap on pledges."""

    campaign_id: Id | None = None
    market_day: Slug
    community: Slug
    closes_at: Instant
    goods: list[Goods] = Field(min_length=1, max_length=100)
    threshold: ThresholdIn
    shortfall: Literal["first-come", "at-least-one-each"] = "first-come"

    @model_validator(mode="after")
    def _each_item_once(self) -> Self:
        _no_duplicates(self.goods)
        return self

    def command(self, key: str | None, caller: Principal) -> OpenCampaign:
        """Return the command of the caller, who will lead the campaign, under the id of the body, or else of the
        Idempotency-Key. Raises `UnusableId`.
        """
        leader = caller.owner
        opening = Opening(
            market_day=self.market_day,
            community=self.community,
            closes_at=self.closes_at,
            goods=_wanted(self.goods),
            threshold=Threshold(of=Measure(self.threshold.of), at_least=self.threshold.at_least),
            shortfall=Rule(self.shortfall),
            leader=leader,
            tenant=caller.tenant,
        )
        digest = content_hash(_owned(self.model_dump(exclude={"campaign_id"}), leader))
        return OpenCampaign(id_of_request(key, self.campaign_id, leader), opening, digest, self.model_dump())


class Door(Body):
    """A delivery by a courier. A pledge has no quote, as its slot is planned after the campaign has formed."""

    kind: Literal["delivery"]
    address: Address


class NewJoin(Body):
    """A pledge: an order that is placed if the campaign forms. Paid once it has, now, or on account."""

    join_id: Id | None = None
    recipient: RecipientIn
    lines: list[Goods] = Field(min_length=1, max_length=100)
    fulfilment: Annotated[Door | Pickup, Field(discriminator="kind")]
    payment: Literal["on_account", "prepaid", "pending"]
    receipt: ReceiptIn | None = None

    @model_validator(mode="after")
    def _each_item_once(self) -> Self:
        _no_duplicates(self.lines)
        return self

    def command(self, campaign: UUID, key: str | None, caller: Principal) -> JoinCampaign:
        """Return the caller's command under the id of the body, or else of the Idempotency-Key. Raises `UnusableId`,
        and a 422 for a payment that the caller may not choose.
        """
        return self._command(campaign, id_of_request(key, self.join_id, caller.owner), caller, caller.owner)

    def _command(self, campaign: UUID, id: UUID, caller: Principal, owner: str | None) -> JoinCampaign:
        check_payment(caller, Payment(self.payment), self.receipt)
        content, how = self.model_dump(), self.fulfilment
        if self.receipt is None:
            del content["receipt"]  # the digest of a join without one stays what it was
        hashed = {name: value for name, value in content.items() if name != "join_id"} | {"campaign": campaign}
        return JoinCampaign(
            id=id,
            campaign=campaign,
            caller=owner or self._digits(),
            lines=_wanted(self.lines),
            fulfilment=Fulfilment(how.kind),
            payment=Payment(self.payment),
            point=how.point if isinstance(how, Pickup) else None,
            recipient=recipient_of(self.recipient, how.address if isinstance(how, Door) else None),
            digest=content_hash(_owned(hashed, owner)),
            content=without_person(content),
            owner=owner,
            receipt=self.receipt.payment if self.receipt else None,
            tenant=caller.tenant,
            account=account_of(caller, Payment(self.payment)),
            allowed=partial(_may_join, caller),
        )

    def _digits(self) -> str:
        """Return the digits of the phone without the country: the same for every way to write one number."""
        digits = "".join(one for one in self.recipient.phone if one.isdigit())
        return digits.removeprefix("86") if len(digits) > 11 else digits


class EntryIn(NewJoin):
    """A join with its number in the list."""

    entry: Annotated[int, Strict(), Field(ge=1, le=2**31 - 1)]
    join_id: None = None

    def entry_command(self, campaign: Terms, chat: str, caller: Principal) -> JoinCampaign:
        """Return the command under the id that follows from chat and number; only who has the campaign's key can
        compute it. It has no owner: the caller pledges for a member of the chat.
        """
        key, name = campaign.chat_key, f"{campaign.campaign}/{chat}/{self.entry}"
        id = _ENTRIES.id(name) if key is None else keyed_id(key, name)
        return self._command(campaign.campaign, id, caller, None)


class RelayIn(Body):
    """A numbered list out of a chat group (接龙): each entry is a join with its number. Entries are judged one by one,
    so each may be any JSON.
    """

    chat: Slug
    entries: list[SkipValidation[EntryIn]] = Field(min_length=1, max_length=500)


def _may_join(caller: Principal, terms: Terms) -> bool:
    return sees_campaign(caller, terms.campaign, terms.community)


def _owned(content: dict[str, Any], owner: str | None) -> dict[str, Any]:
    """Return the content with its owner, so that two owners have two digests."""
    return content if owner is None else content | {"owner": owner}


def _no_duplicates(goods: list[Goods]) -> None:
    items = [one.item for one in goods]
    twice = next((item for item in items if items.count(item) > 1), None)
    if twice:
        raise ValueError(f"duplicate item {twice}: combine it into one line")


def _wanted(goods: list[Goods]) -> tuple[Wanted, ...]:
    return tuple(Wanted(one.item, one.quantity, one.weight_g) for one in goods)
