"""Publication of accounts and signing keys: the whole state of each in one event, on a compacted topic.

The same transaction writes the state for the processes of access itself, which verify callers as every service does.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from contracts.events import access as events
from contracts.scopes import KINDS, STAFF
from services.access.domain.account import Account
from services.access.domain.device import DeviceKey
from services.access.domain.signing_key import SigningKey
from services.access.repository.store import AccessStore
from services.kit.context import Context
from services.kit.identity.events import key_row, principal_row
from services.kit.identity.table import IdentityTable
from services.kit.transaction.unit_of_work import UnitOfWork

NEWEST_KEYS = 16
"""Keys of a device that are published: those before were revoked long ago."""
PAGE = 200


async def save_account(uow: UnitOfWork, account: Account) -> None:
    """Write an account and publish it with its keys."""
    await _save_accounts(uow, [account])


async def _save_accounts(uow: UnitOfWork, accounts: Collection[Account]) -> None:
    """Write accounts and publish them. No other account may be locked after this: `IdentityTable.put` lets one
    transaction pass at a time.
    """
    store: AccessStore = uow.store
    keys = await store.read_keys([account.subject for account in accounts])
    rows = {}
    for account in accounts:
        await store.save_account(account)
        event = _principal_put(account, [key for key in keys if key.subject == account.subject])
        rows[account.subject] = principal_row(event)
        uow.emit(event)
    await uow.table(IdentityTable).put(rows, {})


def _principal_put(account: Account, keys: Sequence[DeviceKey]) -> events.PrincipalPut:
    """Return the state of an account; `keys` are all of its keys, oldest first."""
    return events.PrincipalPut(
        id=account.subject,
        version=account.version,
        kind=events.Kind(account.kind),
        tenant=account.tenant,
        scopes=sorted(account.scopes),
        bounds=events.BoundsOf(**account.bounds.plain()),
        keys=[
            events.DeviceKey(
                thumbprint=key.thumbprint,
                x=key.x,
                y=key.y,
                since=key.since,
                device=key.device or key.thumbprint,
                retired_at=key.retired_at,
                revoked_at=key.revoked_at,
            )
            for key in keys[-NEWEST_KEYS:]
        ],
        status=account.status,
        revoked_at=account.revoked_at,
    )


async def save_signing_keys(uow: UnitOfWork, keys: Collection[SigningKey]) -> None:
    """Write signing keys and publish their public parts."""
    store: AccessStore = uow.store
    await store.save_token_keys(keys)
    rows = {}
    for key in keys:
        ended = key.changed_at if key.status is events.KeyStatus.RETIRED else None
        put = events.SigningKeyPut(
            id=key.kid, version=key.version, x=key.x, y=key.y, status=key.status, retired_at=ended
        )
        rows[key.kid] = key_row(put)
        uow.emit(put)
    if rows:
        await uow.table(IdentityTable).put({}, rows)


async def republish(context: Context) -> int:
    """Publish every account and signing key again, for a broker that lost its topics; return how many.

    A new reader does not need it: the topic is compacted and keeps the last state of each.
    """
    published, after = await _publish_keys(context), ""
    while True:
        async with context.unit() as uow:
            page = await uow.store.read_accounts(after, PAGE)
            await _publish_again(uow, [account.subject for account in page])
        published += len(page)
        if len(page) < PAGE:
            return published
        after = page[-1].subject


async def publish_outdated(context: Context) -> int:
    """Publish what an older version of access published otherwise: accounts of which kind or role has other scopes by
    now, and all that is not in access's own tables of principals and keys. Return how many.
    """
    scopes = {role: sorted(given) for role, given in {**KINDS, **STAFF}.items()}
    published = 0
    async with context.unit() as uow:
        lost = await uow.store.has_unpublished_token_keys()
    if lost:
        published += await _publish_keys(context)
    page: Sequence[str] = ["first"]
    while page:
        async with context.unit() as uow:
            page = await uow.store.read_outdated(scopes, PAGE)
            await _publish_again(uow, page)
        published += len(page)
    return published


async def _publish_keys(context: Context) -> int:
    async with context.unit() as uow:
        keys = [replace(key, version=key.version + 1) for key in await uow.store.lock_token_keys()]
        await save_signing_keys(uow, keys)
    return len(keys)


async def _publish_again(uow: UnitOfWork, subjects: Collection[str]) -> None:
    accounts = [await uow.store.lock_account(subject) for subject in sorted(subjects)]
    await _save_accounts(uow, [replace(account, version=account.version + 1) for account in accounts])
