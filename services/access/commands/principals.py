"""Principals as staff manages them: invited, listed, revoked."""

from __future__ import annotations

from contracts.values import Principal
from services.access.commands.access import Access
from services.access.commands.publish import save_account
from services.access.domain import device
from services.access.domain.account import Account, Grant, grant_of, may_enrol, may_grant, revoked
from services.access.domain.invitation import LIFE, Invitation
from services.access.repository.store import AccessStore
from services.kit.http import problems


async def invite(access: Access, caller: Principal, grant: Grant) -> tuple[str, Invitation]:
    """Return the secret of a new invitation, valid once within three days.

    Raises a 403 problem for permissions that the caller does not have.
    """
    if not may_grant(caller, grant):
        raise problems.forbidden("You may not give more than you have: compare role and bounds with your own")
    secret = access.secret()
    async with access.context.unit() as uow:
        store: AccessStore = uow.store
        now = access.now
        made = Invitation(
            digest=access.vault.digest("invitation", secret),
            grant=grant,
            made_by=caller.subject,
            expires_at=now + LIFE,
        )
        await store.save_invitation(made)
        await store.record(now, caller.subject, "invite", grant.kind)
    return secret, made


async def revoke(access: Access, caller: Principal, subject: str) -> Account:
    """Take all access from a principal: its keys, sessions, refresh tokens and open code end. Safe to repeat.

    Every service refuses it within seconds. Raises a 404 problem for an unknown one, and for one with more permissions
    than the caller has.
    """
    async with access.context.unit() as uow:
        store: AccessStore = uow.store
        await store.delete_enrolments(subject)
        account = await store.lock_account(subject)
        if account is None or not may_grant(caller, grant_of(account)):
            raise problems.not_found(f"principal {subject}")
        await store.delete_logons(subject)
        if account.is_active:
            now = access.now
            await store.save_keys(device.revoked(await store.read_keys([subject]), now))
            account = revoked(account, now)
            await save_account(uow, account)
            await store.record(now, caller.subject, "revoke", subject)
        return account


def visible(caller: Principal, account: Account) -> bool:
    """Return True if the caller may see this account: those with permissions that it could give, and its devices."""
    grant = grant_of(account)
    return may_enrol(caller, grant) if account.kind in device.KINDS else may_grant(caller, grant)
