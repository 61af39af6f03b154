"""The request and response models of stall terminals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, cast
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from contracts.values import Principal, Slug, Token, Unit
from services.kit.http.body import Body
from services.kit.uploads.signed import PrevHash, Sender, Signature
from services.kit.uploads.upload import UploadAnswer, UploadIn
from services.orders.commands.stall import StallPrice, Synced, SyncTerminal


class SyncIn(Body):
    """The uploads of a terminal, any number of times; without any, the request only reads.

    A device with a key sends consecutive records without hashes, the link before the first as `prev_hash`, and the
    `signature` over the last link. With a local token they come in any order, unsigned.
    """

    device: Token
    market_day: Slug
    uploads: list[UploadIn] = Field(default=[], max_length=200)
    prev_hash: PrevHash | None = None
    signature: Signature | None = None

    def command(self, terminal: str, caller: Principal) -> SyncTerminal:
        """Return the command for a terminal."""
        sender = Sender.of(caller, self.prev_hash, self.signature)
        return SyncTerminal(terminal, self.device, self.market_day, self.uploads, sender)


class ResetIn(Body):
    """The device that replaces the active one; left out, it is the next new one that syncs."""

    device: Token | None = None


class ResetView(TypedDict):
    """A terminal after a reset: the chosen device, null until the next new one syncs, and all retired ones."""

    terminal: str
    device: str | None
    retired: list[str]


class UploadView(TypedDict):
    """The answer to one upload: `applied`, `repeated`, `conflict`, `refused`, or `kept` or `quarantined` with its
    reason.
    """

    device: str
    session: str
    seq: int
    answer: str
    reason: str
    flags: list[str]


class ConflictView(TypedDict):
    """An upload with another content under a used number or sale id."""

    session: str
    seq: int
    why: str


class PriceView(TypedDict):
    """A price at stalls, in effect now or later: fen per piece or per 500 g."""

    price: str
    item: str
    unit: Unit
    price_fen: int
    per: Literal["500g", "piece"]
    effective_from: datetime


class AllotmentView(TypedDict):
    """An item's allotment: left = granted_total - returned_total - sold_total, less sales not uploaded yet."""

    item: str
    granted_total: int
    returned_total: int
    version: int
    lease_until: datetime | None
    sold_total: int


class SyncedView(TypedDict):
    """The answers to the uploads, the progress of each session of the device, and what the terminal needs to sell. A
    retired device is not `active` and gets no allotment; one with a key that has ended gets no prices either.
    """

    pool: str
    active: bool
    uploads: list[UploadView]
    received_through: dict[str, int]
    gaps: dict[str, Sequence[tuple[int, int]]]
    conflicts: list[ConflictView]
    prices: list[PriceView]
    sold_out: list[str]
    recalls: list[UUID]
    allotment: list[AllotmentView]


def synced_view(synced: Synced) -> SyncedView:
    """Return the answer for a terminal."""
    return {
        "pool": synced.pool,
        "active": synced.active,
        "uploads": [_upload(one) for one in synced.uploads],
        "received_through": {session: progress.through for session, progress in synced.sessions.items()},
        "gaps": {session: progress.gaps for session, progress in synced.sessions.items()},
        "conflicts": [
            {"session": one.session, "seq": one.seq, "why": one.reason}
            for one in synced.uploads
            if one.answer == "conflict"
        ],
        "prices": [_price(one) for one in synced.prices],
        "sold_out": synced.sold_out,
        "recalls": [],
        "allotment": cast("list[AllotmentView]", synced.allotment),
    }


def _upload(one: UploadAnswer) -> UploadView:
    return {
        "device": one.device,
        "session": one.session,
        "seq": one.seq,
        "answer": one.answer,
        "reason": one.reason,
        "flags": one.flags,
    }


def _price(found: StallPrice) -> PriceView:
    price, item = found.price, found.item
    return {
        "price": price.id,
        "item": price.item,
        "unit": item.unit,
        "price_fen": price.price_fen,
        "per": "500g" if item.unit is Unit.GRAM else "piece",
        "effective_from": price.effective_from,
    }
