"""A join of a group-buy: a pledge, and the order that it may become."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from contracts.events.campaign import JoinAccepted, JoinRefunded
from contracts.values import Payment
from services.orders.domain.order.order import Money, Order, Terms
from services.orders.domain.order.policy import PREPAID
from services.orders.domain.order.pricing import amount_fen


class JoinState(StrEnum):
    """The state of a join: it ends as an order, or is refunded in full."""

    PLEDGED = "pledged"
    WITHDRAWN = "withdrawn"
    ORDERED = "ordered"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class Join:
    """A pledge: the terms of the order that it may become, as the `n`-th join, by the `member`-th person.

    `granted` is each line's share once there is a verdict; `refunded_fen` is the refunded amount.
    """

    id: UUID
    campaign: UUID
    n: int
    member: int
    terms: Terms
    state: JoinState = JoinState.PLEDGED
    granted: tuple[int, ...] | None = None
    refunded_fen: int = 0

    @property
    def paid_fen(self) -> int:
        """The amount paid with the join, in fen."""
        return self.terms.total_fen if self.terms.payment is Payment.PREPAID else 0


def accepted(join: Join) -> JoinAccepted:
    """Return the event of an accepted join."""
    terms = join.terms
    return JoinAccepted(
        campaign=join.campaign,
        join=join.id,
        n=join.n,
        member=join.member,
        lines=list(terms.lines),
        total_fen=terms.total_fen,
        fulfilment=terms.fulfilment,
        point=terms.point,
        payment=terms.payment,
    )


def withdraw(join: Join) -> tuple[Join, JoinRefunded]:
    """Withdraw a join before the cutoff, with a full refund."""
    return end_join(join, JoinState.WITHDRAWN, join.paid_fen, "withdrawn")


def ordered(join: Join, now: datetime) -> Order | None:
    """Return the order that a judged join becomes: its granted shares at their frozen prices; None where all are 0."""
    shares = zip(join.terms.lines, join.granted or (), strict=False)
    lines = tuple(
        line.model_copy(update={"quantity": share, "amount_fen": amount_fen(line.price_fen, share, line.unit)})
        for line, share in shares
        if share
    )
    if not lines:
        return None
    terms = replace(join.terms, lines=lines, placed_at=now)
    return Order(terms, money=(Money(terms.receipt or PREPAID, terms.total_fen),) if join.paid_fen else ())


def end_join(join: Join, state: JoinState, refund_fen: int, reason: str) -> tuple[Join, JoinRefunded]:
    """End a join in `state` and refund the amount for the part that was not granted, once: an ended join is not
    settled again.
    """
    event = JoinRefunded(campaign=join.campaign, join=join.id, amount_fen=refund_fen, reason=reason)
    return replace(join, state=state, refunded_fen=refund_fen), event
