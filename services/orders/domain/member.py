"""Members: persons in a community, without name or phone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.orders.domain.order.policy import Refusal


@dataclass(frozen=True, slots=True)
class Sought:
    """The member that an order is for, by the keyed hash of the phone; `member` is the id of one that has to be made,
    where `makes` is true.
    """

    order: UUID
    tenant: str
    community: str
    phone_hash: bytes
    member: UUID
    makes: bool


@dataclass(frozen=True, slots=True)
class Credit:
    """The credit of a member: `subject` may order on its account, up to `limit_fen` that is owed at one time."""

    allowed: bool = False
    limit_fen: int = 0
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A person in a community. One that is forgotten has no phone any more; its orders keep the id."""

    id: UUID
    tenant: str
    community: str
    created_at: datetime
    credit: Credit
    is_forgotten: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """The credit of a member, and the amount that its orders and pledges owe."""

    credit: Credit
    owed_fen: int


def check_credit(account: Account | None, subject: str, total_fen: int) -> Refusal | None:
    """Return the reason against goods on account for a subject; None where the credit permits them. Who knows a phone
    learns nothing about its credit: only the subject that finance has named does.
    """
    if account is None or not account.credit.allowed or account.credit.subject != subject:
        why = "goods on account need a credit of yours in this community: send pending, or ask for one"
        return Refusal(409, "no-credit", "/payment", why)
    left = account.credit.limit_fen - account.owed_fen
    if total_fen > left:
        return Refusal(
            409, "credit-exceeded", "/payment", f"{total_fen} fen requested, {max(0, left)} of the credit left"
        )
    return None
