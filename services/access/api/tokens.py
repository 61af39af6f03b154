"""Routes of tokens: one-time codes for phones, access tokens, and the public keys that verify them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.access.api.callers import Address, Running
from services.access.api.cookie import session_of
from services.access.api.schemas.token import (
    AssertionIn,
    Jwk,
    Jwks,
    OtpCheck,
    OtpIn,
    OtpSent,
    RefreshIn,
    TokenIn,
    TokenView,
)
from services.access.commands import logon, phone
from services.access.commands.access import refused
from services.access.commands.logon import Logon
from services.access.commands.signing import jwks
from services.access.domain.otp import LIFE
from services.kit.http.responses import NO_STORE, etag, json

router = APIRouter(tags=["tokens"])
SMALL = 8 * 1024
WAIT_S = 60
JWKS_CACHE = "public, max-age=300"
"""A new key is published 30 days before it signs, so a reader may keep the keys for five minutes."""


@router.post("/v1/otp", status_code=202, response_model=OtpSent, max_body_size=SMALL)
async def request_otp(access: Running, address: Address, body: OtpIn) -> Response:
    """Send a code of 6 digits to a phone, valid for 5 minutes and 5 tries; an older one is void.

    The answer is the same for every phone. One a minute and five an hour for a phone.
    """
    await phone.request(access, address, body.phone)
    return json(OtpSent(expires_in=int(LIFE.total_seconds()), retry_after=WAIT_S), 202, {"Cache-Control": NO_STORE})


@router.post("/v1/otp:verify", response_model=TokenView, max_body_size=SMALL)
async def verify_otp(access: Running, address: Address, body: OtpCheck) -> Response:
    """Return tokens for the principal of a phone, by its code; a phone without one becomes a resident."""
    found = await phone.log_in(access, address, body.phone, body.code)
    if found is None:
        raise refused("The code is wrong, used, replaced or expired; ask for a new one")
    return _tokens(found)


@router.post("/v1/token", response_model=TokenView, max_body_size=SMALL)
async def token(access: Running, request: Request, body: TokenIn) -> Response:
    """Return an access token, valid for 10 minutes, for a device's assertion, a refresh token or a session's cookie.

    An assertion is a JWT signed by the device's key: ES256, the key's thumbprint as `kid`, the subject as `iss` and
    `sub`, `aud` is `halfday`, `exp` within 60 s, `jti` used once. With the scope `record:hand-in` the key may be a
    retired, revoked or expired one: such a token permits to hand in the device's records, and nothing else.
    """
    if isinstance(body, AssertionIn):
        found = await logon.by_assertion(access, body.assertion, body.scope)
        if isinstance(found, str):
            raise refused(found)
        return _tokens(found)
    if isinstance(body, RefreshIn):
        next_one = await logon.by_refresh(access, body.refresh_token)
        if next_one is None:
            raise refused("The refresh token is unknown, expired or used; sign in again")
        return _tokens(next_one)
    session = session_of(request)
    of_session = await logon.by_session(access, session) if session else None
    if of_session is None:
        raise refused("There is no session, or it has ended; log in")
    return _tokens(of_session)


@router.get("/.well-known/jwks.json", response_model=Jwks)
async def public_keys(access: Running, request: Request) -> Response:
    """Return the public keys that verify access tokens (RFC 7517), for outsiders; our services read them from Kafka."""
    found = jwks(await access.context.store.read_token_keys())
    return etag(request, Jwks(keys=[Jwk.model_validate(key) for key in found]), cache=JWKS_CACHE)


def _tokens(found: Logon) -> Response:
    return json(TokenView.of(found), headers={"Cache-Control": NO_STORE})
