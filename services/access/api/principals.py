"""Routes of people: invitations, login of staff, and the principals that staff manages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from contracts.values import Slug
from services.access.api import cookie, qr
from services.access.api.callers import Address, Admin, Manager, Running
from services.access.api.schemas.principal import (
    AcceptedView,
    InvitationIn,
    InvitationSecret,
    InvitationView,
    KeyRotated,
    LoggedIn,
    LoginIn,
    LogoutIn,
    OpenedView,
    PhoneAcceptance,
    PrincipalsPage,
    PrincipalView,
    Republished,
    StaffAcceptance,
)
from services.access.api.schemas.token import TokenView
from services.access.commands import logon, phone, principals, publish, staff
from services.access.commands.access import refused
from services.access.commands.signing import keep_keys
from services.access.domain.account import Grant
from services.access.domain.signing_key import current_of
from services.access.domain.staff import SESSION, secret_text, totp_link
from services.kit.http import problems
from services.kit.http.dependencies import After, Limit
from services.kit.http.responses import NO_STORE, json, next_cursor

router = APIRouter(prefix="/v1", tags=["principals"])
SMALL = 8 * 1024
_CLOSED = "The invitation is unknown, accepted or expired; ask for a new one"
_PRIVATE = {"Cache-Control": NO_STORE}


@router.post("/invitations", status_code=201, response_model=InvitationView, max_body_size=SMALL)
async def invite(access: Running, caller: Manager, body: InvitationIn) -> Response:
    """Invite a member of staff, leader, household or steward by a link, valid once within three days.

    No one gives more than they have.
    """
    grant = Grant(kind=body.kind, role=body.role, tenant=caller.tenant, bounds=body.bounds.bounds())
    secret, made = await principals.invite(access, caller, grant)
    link = qr.link(access.door, "join", secret)
    return json(InvitationView(link=link, qr_svg=qr.svg(link), expires_at=made.expires_at), 201, _PRIVATE)


@router.post("/invitations:open", response_model=OpenedView, max_body_size=SMALL)
async def open_invitation(access: Running, address: Address, body: InvitationSecret) -> Response:
    """Return the content of an invitation, which stays open; for staff the TOTP secret of the login to come."""
    found = await staff.open_invitation(access, address, body.secret)
    if found is None:
        raise refused(_CLOSED)
    invitation, totp = found
    secret = secret_text(totp) if invitation.grant.kind == "staff" else None
    link = totp_link(totp, f"{invitation.grant.role}") if secret else None
    return json(OpenedView.of(invitation, secret, link), headers=_PRIVATE)


@router.post("/invitations:accept", status_code=201, response_model=AcceptedView | TokenView, max_body_size=SMALL)
async def accept(access: Running, address: Address, body: StaffAcceptance | PhoneAcceptance) -> Response:
    """Accept an invitation, once: staff with a login, others with a phone and the code that was sent to it.

    Staff then log in; others get their tokens in the answer.
    """
    if isinstance(body, StaffAcceptance):
        account = await staff.accept(access, address, body.secret, body.login, body.password, body.totp)
        if account is None:
            raise refused(_CLOSED)
        return json(AcceptedView(subject=account.subject, kind=account.kind), 201, _PRIVATE)
    found = await phone.accept(access, address, body.secret, body.phone, body.code)
    if found is None:
        raise refused("The invitation or the code is wrong, used or expired; ask for a new one")
    return json(TokenView.of(found), 201, _PRIVATE)


@router.post("/login", response_model=LoggedIn, max_body_size=SMALL)
async def log_in(access: Running, address: Address, body: LoginIn) -> Response:
    """Log a member of staff in for 12 hours, by a cookie; `POST /v1/token` with `session` then gives access tokens."""
    session = await staff.log_in(access, address, body.login, body.password, body.totp)
    if session is None:
        raise refused("Name, password or code is wrong, or the code was used; wait for the next code")
    answer = json(LoggedIn(expires_in=int(SESSION.total_seconds())), headers=_PRIVATE)
    cookie.set_session(answer, session)
    return answer


@router.post("/logout", status_code=204, response_class=Response, max_body_size=SMALL)
async def log_out(access: Running, request: Request, body: LogoutIn | None = None) -> Response:
    """End the session of the cookie, and the family of a refresh token; access tokens end by themselves."""
    await logon.log_out(access, cookie.session_of(request), body.refresh_token if body else None)
    answer = Response(status_code=204)
    cookie.clear_session(answer)
    return answer


@router.get("/principals", response_model=PrincipalsPage)
async def show(access: Running, caller: Manager, limit: Limit = 100, cursor: After = "") -> Response:
    """Return principals in order of subject, those that the caller may revoke."""
    store = access.context.store
    accounts = await store.read_accounts(cursor, limit)
    seen = [account for account in accounts if principals.visible(caller, account)]
    logins = await store.read_logins([account.subject for account in seen])
    views = [PrincipalView.of(account, logins.get(account.subject)) for account in seen]
    return json(PrincipalsPage(principals=views, next=next_cursor(accounts, limit, "subject")), headers=_PRIVATE)


@router.post("/principals/{subject}:revoke", response_model=PrincipalView)
async def revoke(access: Running, caller: Manager, subject: Annotated[Slug, Path()]) -> Response:
    """Take all access from a principal: keys, sessions, refresh tokens and open codes end, and all services refuse it
    within seconds. Safe to repeat.
    """
    return json(PrincipalView.of(await principals.revoke(access, caller, subject)), headers=_PRIVATE)


@router.post("/principals:republish", response_model=Republished)
async def republish(access: Running, _caller: Admin) -> Response:
    """Publish every principal and signing key again, after the broker lost its topics."""
    return json(Republished(published=await publish.republish(access.context)))


@router.post("/signing-keys:rotate", response_model=KeyRotated)
async def rotate(access: Running, _caller: Admin) -> Response:
    """Sign with the next key from now on; tokens of the one before stay valid until they expire."""
    await keep_keys(access, force=True)
    current = current_of(await access.context.store.read_token_keys())
    if current is None:
        raise problems.unavailable()
    return json(KeyRotated(kid=current.kid))
