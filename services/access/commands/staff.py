"""Staff: accepted invitations, local login, and sessions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from services.access.commands.access import Access, guard
from services.access.commands.publish import save_account
from services.access.domain import staff
from services.access.domain.account import Account, granted
from services.access.domain.attempts import FAILED_PER_ADDRESS, FAILED_PER_LOGIN
from services.access.domain.invitation import Invitation, is_open
from services.access.domain.staff import SESSION, TOTP_BYTES, Login
from services.access.repository.store import AccessStore
from services.kit.http import problems

HOUR = timedelta(hours=1)
"""The longest time that an attempt counts for."""


async def open_invitation(access: Access, address: str, secret: str) -> tuple[Invitation, bytes] | None:
    """Return an invitation, which stays open, and the TOTP secret that a member of staff would get with it."""
    async with access.context.unit() as uow:
        store: AccessStore = uow.store
        limits = {access.vault.digest("failed-address", address): FAILED_PER_ADDRESS}
        attempts = await guard(store, access.now, limits)
        found = await store.lock_invitation(access.vault.digest("invitation", secret))
        if found is None or not is_open(found, access.now):
            await attempts.count()
            return None
        return found, _totp(access, secret)


async def accept(access: Access, address: str, secret: str, name: str, password: str, code: str) -> Account | None:
    """Make the account and login of the member of staff that was invited; None for an invitation that is not open.

    Raises a 422 problem where the TOTP code is not that of the invitation's secret, a 409 where the name is taken.
    """
    opened = await open_invitation(access, address, secret)
    if opened is None or opened[0].grant.kind != "staff":
        return None
    step = staff.used_step(opened[1], code, 0, access.now)
    if step is None:
        raise problems.unprocessable("/totp", "must be the current code of the authenticator app: check its clock")
    hashed = await access.passwords.hash(password)
    async with access.context.unit() as uow:
        store: AccessStore = uow.store
        now, digest = access.now, access.vault.digest("invitation", secret)
        invitation = await store.lock_invitation(digest)
        if invitation is None or not is_open(invitation, now):
            return None
        await store.delete_invitation(digest)
        subject = f"staff.{access.context.ports.new_id()}"
        account = granted(None, invitation.grant, subject, now)
        await save_account(uow, account)
        login = Login(
            name=staff.read_name(name),
            subject=subject,
            password=hashed,
            totp=access.vault.seal(f"totp/{subject}", opened[1]),
            last_step=step,
        )
        if not await store.save_login(login):
            raise problems.conflict(f"The name {login.name!r} is taken; choose another one", "name-taken")
        await store.record(now, invitation.made_by, "invite-staff", subject)
        return account


async def log_in(access: Access, address: str, name: str, password: str, code: str) -> str | None:
    """Return the secret of a new session of 12 hours; None where name, password or code is wrong, or was used before.

    The attempt is counted before the password is checked, so that attempts at the same time count too. Raises a 429
    problem after five failures of the name in 15 minutes, whether it exists or not, or twenty of the address in an
    hour.
    """
    name = staff.read_name(name)
    by_name = access.vault.digest("failed-login", name)
    by_address = access.vault.digest("failed-address", address)
    async with access.context.unit() as uow:
        store: AccessStore = uow.store
        began = access.now
        limits = {by_name: FAILED_PER_LOGIN, by_address: FAILED_PER_ADDRESS}
        await (await guard(store, began, limits)).count()
        known = await store.read_login(name)
    matches = await access.passwords.verify(known.password if known else None, password)
    async with access.context.unit() as uow:
        store = uow.store
        times = await store.lock_attempts([by_name, by_address])
        login, now = await store.lock_login(name), access.now
        secret = access.vault.open(f"totp/{login.subject}", login.totp) if login else bytes(TOTP_BYTES)
        step = staff.used_step(secret, code, login.last_step if login else 0, now)
        account = await store.read_account(login.subject) if login else None
        if not (matches and login and step and account and account.is_active):
            return None
        await store.save_attempts(by_name, [], now)
        await store.save_attempts(by_address, [at for at in times[by_address] if at != began], now + HOUR)
        session = access.secret()
        await store.save_login(replace(login, last_step=step))
        await store.save_session(access.vault.digest("session", session), login.subject, now + SESSION)
        return session


def _totp(access: Access, secret: str) -> bytes:
    """Return the TOTP secret of an invitation: derived from it, so that opening it twice shows the same one."""
    return access.vault.digest("totp", secret)[:TOTP_BYTES]
