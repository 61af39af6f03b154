"""Requests and responses about staff, invitations and principals."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from contracts.values import Bounds, Slug
from services.access.api.schemas.token import Code, Phone, Secret
from services.access.domain.account import Account
from services.access.domain.invitation import Invitation
from services.kit.http.body import Body
from services.kit.http.bounded import VISIBLE

Ids = Annotated[list[Slug], Field(max_length=100)]
LoginName = Annotated[str, Field(min_length=1, max_length=64), VISIBLE]
Password = Annotated[str, Field(min_length=12, max_length=128)]
Attempt = Annotated[str, Field(max_length=128)]


class BoundsIn(Body):
    """The objects that a principal may act on, by kind of place; null is no bound."""

    communities: Ids | None = None
    points: Ids | None = None
    sites: Ids | None = None
    stations: Ids | None = None
    terminals: Ids | None = None
    couriers: Ids | None = None
    campaigns: Ids | None = None

    def bounds(self) -> Bounds:
        """Return the bounds."""
        return Bounds.of(self.model_dump())


class InvitationIn(Body):
    """The permissions of an invited person; `role` is for staff only."""

    kind: Literal["staff", "leader", "household", "steward"]
    role: Literal["desk", "intake", "dispatcher", "finance", "admin"] | None = None
    bounds: BoundsIn = BoundsIn()

    @model_validator(mode="after")
    def _role_of_staff(self) -> Self:
        if (self.kind == "staff") != (self.role is not None):
            raise ValueError("role is required for staff, and not accepted for any other kind")
        return self


class InvitationView(BaseModel):
    """The link of an invitation, as text and as QR code, valid once until `expires_at`. It is shown this once."""

    link: str
    qr_svg: str
    expires_at: datetime


class InvitationSecret(Body):
    """The secret of an invitation, from the fragment of its link."""

    secret: Secret


class OpenedView(BaseModel):
    """The content of an invitation. Staff adds `totp_link` to an authenticator app before accepting."""

    kind: str
    role: str | None
    bounds: dict[str, list[str]]
    totp_secret: str | None = None
    totp_link: str | None = None
    expires_at: datetime

    @classmethod
    def of(cls, invitation: Invitation, secret: str | None, link: str | None) -> Self:
        """Return the view of an invitation."""
        return cls(
            kind=invitation.grant.kind,
            role=invitation.grant.role,
            bounds=invitation.grant.bounds.plain(),
            totp_secret=secret,
            totp_link=link,
            expires_at=invitation.expires_at,
        )


class StaffAcceptance(Body):
    """A member of staff accepts: a login name, a password, and a code of the authenticator app."""

    secret: Secret
    login: LoginName
    password: Password
    totp: Code


class PhoneAcceptance(Body):
    """A leader, household or steward accepts with a phone and the code that was sent to it."""

    secret: Secret
    phone: Phone
    code: Code


class AcceptedView(BaseModel):
    """The new principal."""

    subject: str
    kind: str


class LoginIn(Body):
    """A login of staff: name, password, and the current code of the authenticator app."""

    login: LoginName
    password: Attempt
    totp: Code


class LoggedIn(BaseModel):
    """The session is in the cookie; `expires_in` is in seconds."""

    expires_in: int


class LogoutIn(Body):
    """The refresh token of a client that has no session cookie."""

    refresh_token: Secret | None = None


class PrincipalView(BaseModel):
    """A principal; `login` is the name of a member of staff."""

    subject: str
    kind: str
    role: str | None
    login: str | None
    bounds: dict[str, list[str]]
    status: str
    revoked_at: datetime | None
    made_at: datetime

    @classmethod
    def of(cls, account: Account, login: str | None = None) -> Self:
        """Return the view of an account."""
        return cls(
            subject=account.subject,
            kind=account.kind,
            role=account.role,
            login=login,
            bounds=account.bounds.plain(),
            status=str(account.status),
            revoked_at=account.revoked_at,
            made_at=account.made_at,
        )


class PrincipalsPage(BaseModel):
    """A page of principals; `next` is the cursor of the next page, null on the last."""

    principals: list[PrincipalView]
    next: str | None


class KeyRotated(BaseModel):
    """The id of the key that signs from now on."""

    kid: str


class Republished(BaseModel):
    """The number of principals and keys that are published again."""

    published: int
