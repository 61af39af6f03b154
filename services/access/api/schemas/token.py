"""Requests and responses about tokens, one-time codes and public keys."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field

from contracts.scopes import Scope
from services.access.commands.logon import Logon
from services.kit.http.body import Body

Secret = Annotated[str, Field(min_length=16, max_length=128, pattern=r"^[A-Za-z0-9_-]+$")]
Phone = Annotated[str, Field(min_length=5, max_length=32)]
Code = Annotated[str, Field(pattern=r"^[0-9]{6}$")]


class AssertionIn(Body):
    """A device asks for a token (RFC 7523, 2.1). With a key that has ended it names the one scope that it may have."""

    grant_type: Literal["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assertion: Annotated[str, Field(max_length=4096)]
    scope: Literal[Scope.RECORD_HAND_IN] | None = None


class RefreshIn(Body):
    """A person's client asks for the next token (RFC 6749, 6)."""

    grant_type: Literal["refresh_token"]
    refresh_token: Secret


class SessionIn(Body):
    """A browser of staff asks for a token with its session cookie."""

    grant_type: Literal["session"]


TokenIn = Annotated[AssertionIn | RefreshIn | SessionIn, Field(discriminator="grant_type")]


class TokenView(BaseModel):
    """An access token (RFC 6749, 5.1); `expires_in` is in seconds. A refresh token is used once.

    A token of a device is bound to its key: its type is `DPoP`, and each request needs a proof (RFC 9449).
    """

    access_token: str
    token_type: Literal["Bearer", "DPoP"]
    expires_in: int
    scope: str
    subject: str
    kind: str
    refresh_token: str | None = None

    @classmethod
    def of(cls, logon: Logon) -> Self:
        """Return the view of a logon."""
        return cls(
            access_token=logon.issued.token,
            token_type=logon.issued.token_type,
            expires_in=logon.issued.expires_in,
            scope=logon.issued.scope,
            subject=logon.account.subject,
            kind=logon.account.kind,
            refresh_token=logon.refresh_token,
        )


class OtpIn(Body):
    """A phone that wants a code."""

    phone: Phone


class OtpSent(BaseModel):
    """The same for every phone."""

    expires_in: int
    retry_after: int


class OtpCheck(Body):
    """A phone and its code."""

    phone: Phone
    code: Code


class Jwk(BaseModel):
    """A public signing key (RFC 7517)."""

    kty: str
    crv: str
    x: str
    y: str
    kid: str
    use: str
    alg: str


class Jwks(BaseModel):
    """The keys that verify access tokens: the current one, the next and the previous one."""

    keys: list[Jwk]
