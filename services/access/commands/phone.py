"""One-time codes for phones: requested, and verified for a logon or for an invitation."""

from __future__ import annotations

import phonenumbers  # noqa: F401 with the first phone it would be loaded anyway, and take 3 MB more then

from contracts.phone import e164
from contracts.values import MAIN_TENANT, Bounds
from services.access.commands.access import Access, guard
from services.access.commands.logon import Logon, begin
from services.access.commands.publish import save_account
from services.access.domain import otp
from services.access.domain.account import Account, Grant, granted
from services.access.domain.attempts import FAILED_PER_ADDRESS, OTP_PER_ADDRESS, OTP_PER_PHONE
from services.access.domain.invitation import is_open
from services.access.domain.otp import Otp
from services.access.repository.store import AccessStore
from services.access.vault import same
from services.kit.http import problems
from services.kit.transaction.unit_of_work import UnitOfWork

TENANT = MAIN_TENANT
RESIDENT = Grant(kind="resident", role=None, tenant=TENANT, bounds=Bounds())


async def request(access: Access, address: str, phone: str) -> None:
    """Send a new code to a phone, known or not; the code before is void.

    Raises a 422 problem for text that is no phone number, a 429 beyond one a minute and five an hour for the phone and
    twenty an hour for the address.
    """
    number = _number(phone)
    code = otp.code_of(access.context.ports.token_bytes(8))
    digest = _digest(access, number)
    async with access.context.unit() as uow:
        store: AccessStore = uow.store
        now = access.now
        limits = {
            access.vault.digest("otp-phone", number): OTP_PER_PHONE,
            access.vault.digest("otp-address", address): OTP_PER_ADDRESS,
        }
        attempts = await guard(store, now, limits)
        await attempts.count()
        await store.save_otp(Otp(digest, access.vault.digest("otp", f"{number}/{code}"), now))
    access.send(number, code, now)


async def log_in(access: Access, address: str, phone: str, code: str) -> Logon | None:
    """Return the logon of the phone's principal, by its code; a phone that has none becomes a resident.

    None where the code is wrong, used, expired or replaced, and for a principal that is revoked.
    """
    number = _number(phone)
    async with access.context.unit() as uow:
        store: AccessStore = uow.store
        if not await _verified(access, store, address, number, code):
            return None
        account = await _account_of(store, access, number)
        if account is None:
            account = await _give(uow, access, number, RESIDENT, None)
        if not account.is_active:
            return None
        return await begin(access, store, account)


async def accept(access: Access, address: str, secret: str, phone: str, code: str) -> Logon | None:
    """Give the permissions of an invitation to the principal of a phone, by its code, and return its logon.

    A resident becomes a leader, household or steward under the same subject, so what it owns stays its own.
    None where the invitation or the code is wrong, used or expired, and for an invitation of staff.
    """
    number = _number(phone)
    async with access.context.unit() as uow:
        store: AccessStore = uow.store
        if not await _verified(access, store, address, number, code):
            return None
        digest = access.vault.digest("invitation", secret)
        invitation = await store.lock_invitation(digest)
        if invitation is None or not is_open(invitation, access.now) or invitation.grant.kind == "staff":
            return None
        await store.delete_invitation(digest)
        account = await _account_of(store, access, number)
        account = await _give(uow, access, number, invitation.grant, account)
        await store.record(access.now, invitation.made_by, f"invite-{account.kind}", account.subject)
        return await begin(access, store, account)


async def _verified(access: Access, store: AccessStore, address: str, number: str, code: str) -> bool:
    now = access.now
    limits = {access.vault.digest("failed-address", address): FAILED_PER_ADDRESS}
    attempts = await guard(store, now, limits)
    digest = _digest(access, number)
    known = await store.lock_otp(digest)
    given = access.vault.digest("otp", f"{number}/{code}")
    left, accepted = otp.tried(known or Otp(digest, b"", now), known is not None and same(known.digest, given), now)
    await (store.save_otp(left) if known and left else store.delete_otp(digest))
    if not accepted:
        await attempts.count()
    return accepted


async def _account_of(store: AccessStore, access: Access, number: str) -> Account | None:
    subject = await store.read_subject_of_phone(_digest(access, number))
    return await store.lock_account(subject) if subject else None


async def _give(uow: UnitOfWork, access: Access, number: str, grant: Grant, known: Account | None) -> Account:
    subject = known.subject if known else f"{grant.kind}.{access.context.ports.new_id()}"
    account = granted(known, grant, subject, access.now)
    await save_account(uow, account)
    if known is None:
        await uow.store.save_phone(_digest(access, number), subject)
    return account


def _digest(access: Access, number: str) -> bytes:
    return access.vault.digest("phone", f"{TENANT}/{number}")


def _number(phone: str) -> str:
    number = e164(phone)
    if number is None:
        raise problems.unprocessable("/phone", "must be a phone number such as 138 1234 5678 or +86 138 1234 5678")
    return number
