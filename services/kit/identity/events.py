"""Reads `access.principal.v1` into the tables of a service: every service subscribes in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contracts.events.access import KeyStatus, PrincipalPut, SigningKeyPut, Status
from services.kit.consumer.subscription import Subscription
from services.kit.identity.table import IdentityTable
from services.kit.transaction.message import Message
from services.kit.transaction.unit_of_work import UnitOfWork


class IdentityRepository:
    """The states of one batch. A state replaces an older one only, so that records may come again in any order."""

    def __init__(self, uow: UnitOfWork) -> None:
        self.uow = uow
        self.principals: dict[str, dict[str, Any]] = {}
        self.signing_keys: dict[str, dict[str, Any]] = {}

    async def load(self, _messages: Sequence[Message[Any]]) -> None:
        """Load nothing: the rows are compared where they are stored."""

    async def save(self) -> None:
        """Store the newest state of each id."""
        await self.uow.table(IdentityTable).put(self.principals, self.signing_keys)


def on_principal(repository: IdentityRepository, message: Message[PrincipalPut]) -> None:
    """Stores the state of a principal."""
    _keep(repository.principals, message.data.id, principal_row(message.data))


def on_signing_key(repository: IdentityRepository, message: Message[SigningKeyPut]) -> None:
    """Stores the state of a signing key."""
    _keep(repository.signing_keys, message.data.id, key_row(message.data))


def principal_row(event: PrincipalPut) -> dict[str, Any]:
    """Return the state of a principal as `IdentityTable.put` takes it."""
    plain = event.model_dump(mode="json")
    row = {name: plain[name] for name in ("version", "kind", "tenant", "scopes", "keys", "revoked_at")}
    bounds = {name: ids for name, ids in plain["bounds"].items() if ids is not None}
    return row | {"bounds": bounds, "active": event.status is Status.ACTIVE}


def key_row(event: SigningKeyPut) -> dict[str, Any]:
    """Return the state of a signing key as `IdentityTable.put` takes it."""
    usable = event.status in {KeyStatus.NEXT, KeyStatus.CURRENT, KeyStatus.PREVIOUS}
    return {"version": event.version, "x": event.x, "y": event.y, "usable": usable}


def _keep(rows: dict[str, dict[str, Any]], id: str, row: dict[str, Any]) -> None:
    if id not in rows or rows[id]["version"] < row["version"]:
        rows[id] = row


PRINCIPALS = Subscription(
    "access.principal.v1",
    {PrincipalPut: on_principal, SigningKeyPut: on_signing_key},
    open_repository=IdentityRepository,
)
"""The subscription of every service of the market."""
