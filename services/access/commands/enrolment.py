"""Devices: enrolled with a code, renewed by their own old key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from contracts.values import Bounds, Principal
from services.access.commands.access import Access, guard
from services.access.commands.publish import save_account
from services.access.domain import device, enrolment
from services.access.domain.account import Account, Grant, grant_of, granted, may_enrol
from services.access.domain.attempts import FAILED_PER_ADDRESS
from services.access.domain.device import DeviceKey
from services.access.domain.enrolment import HANDLE, LIFE, Enrolment
from services.access.repository.store import AccessStore
from services.access.vault import same
from services.kit.http import problems
from services.kit.transaction.unit_of_work import UnitOfWork

_NOT_YOURS = "You may not enrol a {} of these places; name those that you work for"


async def make_code(access: Access, caller: Principal, kind: str, id: str, bounds: Bounds) -> tuple[str, Enrolment]:
    """Return a new code for the device of a terminal or courier; an older one of the same is void.

    Raises a 403 problem outside the caller's bounds.
    """
    grant = Grant(kind=kind, role=None, tenant=caller.tenant, bounds=bounds)
    if not may_enrol(caller, grant):
        raise problems.forbidden(_NOT_YOURS.format(kind))
    code = enrolment.code_of(access.context.ports.token_bytes(5))
    async with access.context.unit() as uow:
        store: AccessStore = uow.store
        now = access.now
        known = await store.read_account(f"{kind}.{id}")
        if known and not may_enrol(caller, grant_of(known)):  # it would end the device of another place
            raise problems.forbidden(_NOT_YOURS.format(kind))
        made = Enrolment(
            handle=code[:HANDLE],
            digest=access.vault.digest("enrolment", code),
            subject=f"{kind}.{id}",
            kind=kind,
            tenant=caller.tenant,
            bounds=bounds,
            made_by=caller.subject,
            expires_at=now + LIFE,
        )
        await store.save_enrolment(made)
        await store.record(now, caller.subject, "invite-device", made.subject)
    return code, made


async def enrol(
    access: Access, address: str, code: str, jwk: Mapping[str, str], proof: str
) -> tuple[Account, DeviceKey] | None:
    """Enrol the device that has this key; the active device of the same terminal or courier is retired, and may still
    hand in the records that it made before.

    None for a code that is wrong, used or expired. Raises a 422 problem where the key is unusable or the proof is not
    its signature, a 409 for a key that was enrolled before.
    """
    now = access.now
    read = enrolment.read_code(code)
    key = _key(jwk, now)
    if not device.verify(key, proof, device.enrolment_text(read or "", key.thumbprint)):
        raise problems.unprocessable("/proof", "must be the key's signature over halfday:enrol:CODE:THUMBPRINT")
    async with access.context.unit() as uow:
        store: AccessStore = uow.store
        limits = {access.vault.digest("failed-address", address): FAILED_PER_ADDRESS}
        attempts = await guard(store, now, limits)
        open_one = await store.lock_enrolment(read[:HANDLE]) if read else None
        accepted = False
        if open_one:
            matches = same(open_one.digest, access.vault.digest("enrolment", read or ""))
            left, accepted = enrolment.tried(open_one, matches, now)
            await (store.save_enrolment(left) if left else store.delete_enrolments(open_one.subject))
        if open_one is None or not accepted:
            await attempts.count()
            return None
        grant = Grant(kind=open_one.kind, role=None, tenant=open_one.tenant, bounds=open_one.bounds)
        account = granted(await store.lock_account(open_one.subject), grant, open_one.subject, now)
        return account, await _replace_key(uow, access, account, key, "enrol")


async def renew(
    access: Access, address: str, old: str, jwk: Mapping[str, str], proofs: tuple[str, str]
) -> tuple[Account, DeviceKey] | None:
    """Replace the active key with this thumbprint by the one that it proposes; both have signed `renewal_text`.

    None where the old key is unknown or no longer active, or did not sign.
    """
    now = access.now
    key = _key(jwk, now)
    text = device.renewal_text(old, key.thumbprint)
    if not device.verify(key, proofs[1], text):
        raise problems.unprocessable("/new_proof", "must be the new key's signature over halfday:renew:OLD:NEW")
    async with access.context.unit() as uow:
        store: AccessStore = uow.store
        limits = {access.vault.digest("failed-address", address): FAILED_PER_ADDRESS}
        attempts = await guard(store, now, limits)
        known = await store.read_key(old)
        account = await store.lock_account(known.subject) if known else None
        known = await store.read_key(old)  # again, under the account's lock
        if known is None or account is None or not account.is_active or not known.is_active(now):
            await attempts.count()
            return None
        if not device.verify(known, proofs[0], text):
            await attempts.count()
            return None
        account = replace(account, version=account.version + 1)
        key = replace(key, device=known.device or known.thumbprint)
        return account, await _replace_key(uow, access, account, key, "renew")


async def _replace_key(uow: UnitOfWork, access: Access, account: Account, key: DeviceKey, action: str) -> DeviceKey:
    store: AccessStore = uow.store
    if await store.read_key(key.thumbprint):
        raise problems.conflict("This key was enrolled before; make a new one for each enrolment", "key-reused")
    now = access.now
    key = replace(key, subject=account.subject)
    ended = device.retired(await store.read_keys([account.subject]), now)
    await store.save_account(account)  # the key refers to it
    await store.save_keys([*ended, key])
    await save_account(uow, account)
    await store.record(now, account.subject, action, account.subject)
    return key


def _key(jwk: Mapping[str, str], now: datetime) -> DeviceKey:
    """Return the key of a device before its subject is known."""
    try:
        return device.new_key("", jwk, now)
    except device.UnusableKey as wrong:
        raise problems.unprocessable("/key", str(wrong)) from None
