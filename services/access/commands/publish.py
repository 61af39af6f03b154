"""Publication of accounts and signing keys: the whole state of each in one event, on a compacted topic."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from contracts.events import access as events
from services.access.domain.account import Account
from services.access.domain.device import DeviceKey
from services.access.domain.signing_key import SigningKey
from services.access.repository.store import AccessStore
from services.kit.context import Context
from services.kit.transaction.unit_of_work import UnitOfWork

NEWEST_KEYS = 16
"""Keys of a device that are published: those before were revoked long ago."""
PAGE = 200


async def save_account(uow: UnitOfWork, account: Account) -> None:
    """Write an account and publish it with its keys."""
    store: AccessStore = uow.store
    await store.save_account(account)
    publish_account(uow, account, await store.read_keys([account.subject]))


def publish_account(uow: UnitOfWork, account: Account, keys: Collection[DeviceKey]) -> None:
    """Publish the state of an account; `keys` are all of its keys, oldest first."""
    uow.emit(
        events.PrincipalPut(
            id=account.subject,
            version=account.version,
            kind=events.Kind(account.kind),
            tenant=account.tenant,
            scopes=sorted(account.scopes),
            bounds=events.BoundsOf(**account.bounds.plain()),
            keys=[
                events.DeviceKey(
                    thumbprint=key.thumbprint, x=key.x, y=key.y, since=key.since, revoked_at=key.revoked_at
                )
                for key in list(keys)[-NEWEST_KEYS:]
            ],
            status=account.status,
            revoked_at=account.revoked_at,
        )
    )


async def save_signing_keys(uow: UnitOfWork, keys: Collection[SigningKey]) -> None:
    """Write signing keys and publish their public parts."""
    store: AccessStore = uow.store
    await store.save_token_keys(keys)
    for key in keys:
        ended = key.changed_at if key.status is events.KeyStatus.RETIRED else None
        put = events.SigningKeyPut(
            id=key.kid, version=key.version, x=key.x, y=key.y, status=key.status, retired_at=ended
        )
        uow.emit(put)


async def republish(context: Context) -> int:
    """Publish every account and signing key again, for a broker that lost its topics; return how many.

    A new reader does not need it: the topic is compacted and keeps the last state of each.
    """
    published, after = 0, ""
    async with context.unit() as uow:
        keys = [replace(key, version=key.version + 1) for key in await uow.store.lock_token_keys()]
        await save_signing_keys(uow, keys)
        published += len(keys)
    while True:
        async with context.unit() as uow:
            page = await uow.store.read_accounts(after, PAGE)
            for subject in [account.subject for account in page]:
                account = await uow.store.lock_account(subject)
                await save_account(uow, replace(account, version=account.version + 1))
        published += len(page)
        if len(page) < PAGE:
            return published
        after = page[-1].subject
