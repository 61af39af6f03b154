"""Access tokens for devices, phones and staff: by assertion, by refresh token, by session."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from contracts.scopes import Scope
from services.access.commands.access import Access
from services.access.commands.signing import ALGORITHMS, Issued, issue
from services.access.domain import assertion as rules
from services.access.domain.account import Account
from services.access.domain.device import DeviceKey
from services.access.domain.refresh import LIVES, RefreshToken, Use, use
from services.access.repository.store import AccessStore


@dataclass(frozen=True, slots=True)
class Logon:
    """An access token for an account, with the refresh token where its kind has one."""

    account: Account
    issued: Issued
    refresh_token: str | None = None


async def by_assertion(access: Access, assertion: str, scope: Scope | None = None) -> Logon | str:
    """Return the logon of a device that signed this assertion (RFC 7523, 2.1), else the rule that it breaks.

    With the scope `record:hand-in` the logon permits that only, and the key may have ended. Only a device with the
    right signature learns the rule; all others get the same text.
    """
    unknown = "the assertion must be signed by an enrolled, active key, which its header names as kid"
    async with access.context.unit() as uow:
        store: AccessStore = uow.store
        now = access.now
        key = await _signer(store, assertion)
        if key is None or (scope is None and not key.is_active(now)):
            return unknown
        try:
            claims = jwt.decode(assertion, ECKey.import_key(key.jwk), algorithms=ALGORITHMS).claims
        except (JoseError, ValueError):
            return unknown
        try:
            jti = rules.check(claims, key.subject, now)
        except rules.Refused as broken:
            return str(broken)
        account = await store.read_account(key.subject)
        if account is None or (scope is None and not account.is_active):
            return unknown
        if not await store.use_assertion(key.thumbprint, jti, datetime.fromtimestamp(claims["exp"], UTC)):
            return "jti was used before; sign another assertion for each token"
        return Logon(account, await issue(access, store, account, key.thumbprint, [scope] if scope else None))


async def _signer(store: AccessStore, assertion: str) -> DeviceKey | None:
    try:
        kid = jws.extract_compact(assertion.encode()).headers().get("kid")
    except (JoseError, ValueError):
        return None
    return await store.read_key(kid) if isinstance(kid, str) else None


async def begin(access: Access, store: AccessStore, account: Account, family: UUID | None = None) -> Logon:
    """Return the logon of an account, with a new refresh token of its family where its kind has one."""
    issued = await issue(access, store, account)
    if account.kind not in LIVES:
        return Logon(account, issued)
    secret = access.secret()
    token = RefreshToken(
        digest=access.vault.digest("refresh", secret),
        family=family or access.context.ports.new_id(),
        subject=account.subject,
        expires_at=access.now + LIVES[account.kind],
    )
    await store.save_refresh(token)
    return Logon(account, issued, secret)


async def by_refresh(access: Access, secret: str) -> Logon | None:
    """Return the next logon for a refresh token; None where it is unknown, expired, or used before, which also ends
    its whole family.
    """
    async with access.context.unit() as uow:
        store: AccessStore = uow.store
        digest = access.vault.digest("refresh", secret)
        token = await store.read_refresh(digest)
        account = await store.lock_account(token.subject) if token else None
        token = await store.read_refresh(digest)  # again, under the account's lock
        if token is None or account is None or not account.is_active:
            return None
        verdict = use(token, access.now)
        if verdict is Use.REUSED:
            await store.delete_family(token.family)
            await store.record(access.now, account.subject, "refresh-reused", account.subject)
        if verdict is not Use.ROTATE:
            return None
        await store.save_refresh(replace(token, used_at=access.now))
        return await begin(access, store, account, token.family)


async def by_session(access: Access, secret: str) -> Logon | None:
    """Return an access token for a session of staff; None where it has ended."""
    async with access.context.unit() as uow:
        store: AccessStore = uow.store
        subject = await store.read_session(access.vault.digest("session", secret), access.now)
        account = await store.read_account(subject) if subject else None
        if account is None or not account.is_active:
            return None
        return Logon(account, await issue(access, store, account))


async def log_out(access: Access, session: str | None, refresh: str | None) -> None:
    """End a session, and the family of a refresh token. Unknown ones are ended already."""
    async with access.context.unit() as uow:
        store: AccessStore = uow.store
        if session:
            await store.delete_session(access.vault.digest("session", session))
        token = await store.read_refresh(access.vault.digest("refresh", refresh)) if refresh else None
        if token:
            await store.lock_account(token.subject)
            await store.delete_family(token.family)
