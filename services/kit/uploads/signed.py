"""Signed uploads: those of a caller with a device's key. One signature covers the chain of a request.

The uploads of a request are consecutive records of a device and travel without hashes. The server computes each body's
hash and each link, from the link before the first, and verifies the signature over the last link with the key of the
caller's token. An upload's identity is its link. See decision 0023.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, NamedTuple, Self

from pydantic import Field

from contracts.scopes import Scope
from contracts.uploads import NotCanonical, check_form, signed_bytes
from contracts.values import LOCAL_KIND, Principal
from services.kit.database import Reader
from services.kit.http import problems
from services.kit.identity.directory import Point
from services.kit.identity.table import DeviceKey, IdentityTable
from services.kit.transaction.unit_of_work import UnitOfWork
from services.kit.uploads.upload import Upload, UploadIn, read

PrevHash = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""The link before the first upload of a request; the thumbprint of the device's key where there is none."""
Signature = Annotated[str, Field(max_length=128)]
"""ECDSA P-256 with SHA-256 over the last link of a request: r and s, 86 characters of base64url."""


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender of a request's uploads: a local token, which signs nothing, or a caller with the `key` of a device;
    None without one. `ended`: with a token that permits to hand in records only.
    """

    is_local: bool = True
    key: str | None = None
    ended: bool = False
    prev_hash: str | None = None
    signature: str | None = None

    @classmethod
    def of(cls, caller: Principal, prev_hash: str | None, signature: str | None) -> Self:
        """Return the sender of a caller's request."""
        ended = caller.scopes == {Scope.RECORD_HAND_IN}
        return cls(caller.kind == LOCAL_KIND, caller.key, ended, prev_hash, signature)


LOCAL = Sender()
"""The sender with a local token."""


class Received(NamedTuple):
    """The uploads of a request as they count. `active`: the device may go on working. `places`: the sites or stations
    of the device, None where it has all.
    """

    uploads: list[Upload]
    active: bool
    places: list[str] | None


class DeviceTable:
    """The devices of owners, each with the thumbprint of its first key."""

    def __init__(self, conn: Reader) -> None:
        self.conn = conn

    async def bind(self, owner: str, device: str, key: str) -> bool:
        """Bind a device to a key where both are new to the owner; return whether they belong to each other."""
        await self.conn.execute(
            "insert into upload_device (owner, device, key) values ($1, $2, $3) on conflict do nothing",
            owner,
            device,
            key,
        )
        rows = await self.conn.fetch(
            "select device, key from upload_device where owner = $1 and (device = $2 or key = $3)", owner, device, key
        )
        return [tuple(row) for row in rows] == [(device, key)]


async def receive(
    uow: UnitOfWork, owner: str, sender: Sender, device: str, uploads: Sequence[UploadIn], now: datetime
) -> Received:
    """Return the uploads of a request, each with the reason why it is quarantined, if it is.

    Nothing is stored but the device's binding to its key. An upload that does not `count` leaves its number free: who
    does not have the key can't take the numbers of the device. Locks the owner's principal, so that a revocation comes
    before or after the request. Raises a 422 problem with the place where a signed request has the wrong form, a 409
    `other-device` for a read as another device, and a 503 while the key has not arrived here.
    """
    if sender.is_local:
        return Received([read(one, owner, now, device, f"/uploads/{n}") for n, one in enumerate(uploads)], True, None)
    _check_form(uploads)
    rows = _chained(owner, sender, device, uploads, now)
    if sender.key is None:
        return Received(
            [_distrusted(row, "the request is not signed with the key of a device") for row in rows], False, None
        )
    key = await uow.table(IdentityTable).lock_device_key(owner.replace("/", ".", 1), sender.key)
    if key is None:
        raise problems.unavailable(detail="The key of this device has not arrived here yet; try again in a second")
    wrong = _signature_fault(key, sender, rows)
    if not wrong and not await uow.table(DeviceTable).bind(owner, device, key.device):
        wrong = f"the key of this request is not the key of device {device}"
        if not rows:
            raise problems.conflict(f"{wrong}: use the name that it had first", "other-device")
    active = not (sender.ended or wrong or key.retired_at or key.revoked_at)
    if wrong:
        return Received([_distrusted(row, wrong) for row in rows], active, key.places)
    return Received([replace(row, quarantine=_lateness(key, row)) for row in rows], active, key.places)


def _check_form(uploads: Sequence[UploadIn]) -> None:
    for n, one in enumerate(uploads):
        place, given = f"/uploads/{n}", one.given()
        for name in ("body_hash", "prev_hash"):
            if given.get(name) is not None:
                raise problems.unprocessable(f"{place}/{name}", "must be left out: the server computes it")
        try:
            check_form(given, place)
        except NotCanonical as wrong:
            raise problems.unprocessable(wrong.place, wrong.reason) from None
        before = uploads[n - 1] if n else None
        if (
            before
            and (one.session, one.seq) != (before.session, before.seq + 1)
            and (one.session == before.session or one.seq != 1)
        ):
            expected = f"must be {before.seq + 1}, or 1 in another session: the uploads of a signed request are "
            raise problems.unprocessable(f"{place}/seq", f"{expected}consecutive records, in the order they were made")


def _chained(owner: str, sender: Sender, device: str, uploads: Sequence[UploadIn], now: datetime) -> list[Upload]:
    """Return the uploads with their links, which are their identities."""
    found, link = [], sender.prev_hash
    for n, one in enumerate(uploads):
        upload = read(one.model_copy(update={"prev_hash": link}), owner, now, device, f"/uploads/{n}")
        link = upload.link
        found.append(replace(upload, digest=urlsafe_b64decode(link + "="), signed_by=sender.key or ""))
    return found


def _signature_fault(key: DeviceKey, sender: Sender, rows: Sequence[Upload]) -> str:
    """Return the reason why the signature proves nothing; the empty text where it holds, or nothing is to be signed."""
    from services.kit.identity import signatures

    if not rows:
        return ""
    if sender.signature is None:
        return "the request has no signature over its last link"
    if signatures.verify(Point(key.x, key.y), sender.signature, signed_bytes(rows[-1].link)):
        return ""
    return "the signature does not fit the uploads, prev_hash and the key of this device"


def _distrusted(row: Upload, reason: str) -> Upload:
    return replace(row, quarantine=reason, counts=False)


def _lateness(key: DeviceKey, row: Upload) -> str:
    """Return the reason why a record that the key has signed waits for staff; the empty text where it counts."""
    if key.revoked_at:
        return f"the device's key was revoked at {key.revoked_at}, before this arrived"
    if key.retired_at and (row.clock_invalid or row.recorded_at > datetime.fromisoformat(key.retired_at)):
        return f"recorded after the device was replaced at {key.retired_at}"
    return ""
