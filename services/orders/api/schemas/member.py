"""The request and response models of members."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, Strict, model_validator
from typing_extensions import TypedDict

from contracts.values import Fen
from services.kit.http.body import Body
from services.kit.http.bounded import AmountFen
from services.orders.domain.member import Credit

PREFIX = "member."


class CreditIn(Body):
    """The credit of a member: its `holder`, the subject that may order on account, and the most that it may owe."""

    allowed: Annotated[bool, Strict()]
    limit_fen: AmountFen = 0
    holder: Annotated[str, Field(max_length=128, pattern=r"^[a-z]+\.[A-Za-z0-9._~-]+$")] | None = None

    @model_validator(mode="after")
    def _has_a_holder(self) -> Self:
        if self.allowed and self.holder is None:
            raise ValueError("a credit has a holder: name the subject that may order on it, such as resident.ID")
        return self

    def credit(self) -> Credit:
        """Return the credit; one that is not allowed has neither limit nor holder."""
        return Credit(self.allowed, self.limit_fen, self.holder) if self.allowed else Credit()


class CreditView(TypedDict):
    """The credit of a member."""

    allowed: bool
    limit_fen: Fen
    holder: str | None


class MemberView(TypedDict):
    """A member, without name and phone. `owed_fen`: of orders and pledges on account. `forgotten`: has no person any
    more.
    """

    member_id: str
    community: str
    credit: CreditView
    owed_fen: Fen
    created_at: datetime
    forgotten: bool


class MemberPage(TypedDict):
    """A page of members in order of id."""

    items: list[MemberView]
    next: str | None


def member_view(row: Mapping[str, Any]) -> MemberView:
    """Return the view of a row of `queries.members`."""
    return {
        "member_id": f"{PREFIX}{row['member_id']}",
        "community": row["community"],
        "credit": {"allowed": row["credit"], "limit_fen": row["limit_fen"], "holder": row["subject"]},
        "owed_fen": row["owed_fen"],
        "created_at": row["created_at"],
        "forgotten": row["forgotten"],
    }


def id_of(member: str) -> UUID:
    """Return the id in `member.UUID`; for any other text the nil UUID, which no member has."""
    try:
        return UUID(member.removeprefix(PREFIX))
    except ValueError:
        return UUID(int=0)
