"""A stall terminal's uploads: facts that take effect when they arrive, in any order.

Cash sessions, sales and voids. The goods have left the table already, so nothing here refuses: a second content under
one sale id is a conflict that is stored and reported, and a void waits for its sale.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from contracts.envelope import Event
from contracts.events import orders as o
from contracts.values import LateFact

SessionKey = tuple[str, str]
"""Device and session: `seq` numbers the uploads within one."""


@dataclass(frozen=True, slots=True)
class Open:
    """The start of a cash session, with its float."""

    float_fen: int = 0


@dataclass(frozen=True, slots=True)
class Sale:
    """Goods handed over, under the terminal's own id of the sale."""

    sale: UUID
    lines: tuple[o.SaleLine, ...]

    @property
    def total_fen(self) -> int:
        """The amount taken for the sale, in fen."""
        return sum(line.amount_fen for line in self.lines)

    @property
    def hash(self) -> str:
        """The SHA-256 of the lines: equal for equal content."""
        text = "\n".join(f"{line.item} {line.quantity} {line.amount_fen}" for line in self.lines)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Void:
    """A reversal of a sale: its goods are on the table again."""

    sale: UUID


@dataclass(frozen=True, slots=True)
class Count:
    """Goods counted at the stall: stored with the upload, without effect here."""


@dataclass(frozen=True, slots=True)
class Close:
    """The session's manifest: it has the numbers 1 to `last_seq`; and the cash that was counted."""

    last_seq: int
    cash_fen: int = 0


@dataclass(frozen=True, slots=True)
class StallUpload:
    """One numbered fact of a terminal. Device time is stored, never trusted; with `clock_invalid` it is ours."""

    terminal: str
    pool: str
    device: str
    session: str
    seq: int
    recorded_at: datetime
    body: Open | Sale | Void | Count | Close
    clock_invalid: bool = False

    @property
    def key(self) -> SessionKey:
        """The session of the upload."""
        return self.device, self.session

    def origin(self, pool: str | None = None) -> dict[str, Any]:
        """Return the fields that every event of this upload has: terminal, pool, session, number and time."""
        return {
            "terminal": self.terminal,
            "pool": pool or self.pool,
            "device": self.device,
            "session": self.session,
            "seq_no": self.seq,
            "recorded_at": self.recorded_at,
            "clock_invalid": self.clock_invalid,
        }


@dataclass(frozen=True, slots=True)
class Session:
    """A cash session: float, amount taken less voids, and its manifest once it is closed.

    Uploads after it is closed and complete count in `adjusted_fen` and change no other figure.
    """

    pool: str
    float_fen: int = 0
    taken_fen: int = 0
    adjusted_fen: int = 0
    manifest: StallUpload | None = None
    complete: bool = False

    @property
    def expected_fen(self) -> int:
        """The expected cash in the box, in fen."""
        return self.float_fen + self.taken_fen


@dataclass(frozen=True, slots=True)
class Stall:
    """The sales, voids and sessions of a terminal, as far as some uploads need them."""

    sales: Mapping[UUID, StallUpload] = field(default_factory=dict)
    voids: Mapping[UUID, StallUpload] = field(default_factory=dict)
    sessions: Mapping[SessionKey, Session] = field(default_factory=dict)


def fold(stall: Stall, uploads: Iterable[StallUpload], received: Mapping[SessionKey, int]) -> tuple[Stall, list[Event]]:
    """Return the stall after these new uploads, and their events.

    `received`: by session, the number through which all uploads have arrived, these included. A closed session is
    reported at once, and once more when its last gap is filled.
    """
    events: list[Event] = []
    for upload in uploads:
        stall, more = apply(stall, upload)
        events += more
    sessions = dict(stall.sessions)
    for key, session in stall.sessions.items():
        closing = session.manifest
        if closing is None or not isinstance(closing.body, Close) or session.complete:
            continue
        complete = received.get(key, 0) >= closing.body.last_seq
        if complete or closing in uploads:
            events.append(_closed(closing, closing.body, session, complete))
        sessions[key] = replace(session, complete=complete)
    return replace(stall, sessions=sessions), events


def apply(stall: Stall, upload: StallUpload) -> tuple[Stall, list[Event]]:
    """Return the stall after one upload, and its events; `fold` reports closed sessions."""
    session = stall.sessions.get(upload.key) or Session(upload.pool)
    match upload.body:
        case Open(float_fen):
            opened = o.SessionOpened(**upload.origin(), float_fen=float_fen)
            if session.complete:
                stall, adjusted = _adjust(stall, upload, session, LateFact.OPEN, float_fen)
                return stall, [opened, adjusted]
            return _with(stall, upload.key, replace(session, float_fen=float_fen)), [opened]
        case Sale():
            return _sold(stall, upload, upload.body)
        case Void():
            return _voided(stall, upload, upload.body)
        case Close():
            if session.complete:
                stall, adjusted = _adjust(stall, upload, session, LateFact.CLOSE, 0, cash_fen=upload.body.cash_fen)
                return stall, [adjusted]
            return _with(stall, upload.key, replace(session, manifest=upload)), []
        case Count():
            return stall, []


def _sold(stall: Stall, upload: StallUpload, sale: Sale) -> tuple[Stall, list[Event]]:
    known = stall.sales.get(sale.sale)
    if known is not None and isinstance(known.body, Sale):
        same = known.body.hash == sale.hash and known.terminal == upload.terminal
        return stall, [] if same else [conflicted(upload, known.body.hash, sale.hash)]
    stall = replace(stall, sales={**stall.sales, sale.sale: upload})
    recorded: Event = o.SaleRecorded(
        **upload.origin(), sale=sale.sale, lines=list(sale.lines), total_fen=sale.total_fen
    )
    stall, adjusted = _count(stall, upload, LateFact.SALE, sale.total_fen, sale.sale)
    waiting = stall.voids.get(sale.sale)
    if waiting is None or waiting.terminal != upload.terminal:
        return stall, [recorded, *adjusted]
    stall, undone = _undo(stall, waiting, upload, sale)
    return stall, [recorded, *adjusted, *undone]


def _voided(stall: Stall, upload: StallUpload, void: Void) -> tuple[Stall, list[Event]]:
    if void.sale in stall.voids:
        return stall, []
    known = stall.sales.get(void.sale)
    if known is not None and isinstance(known.body, Sale) and known.terminal != upload.terminal:
        return stall, [conflicted(upload, known.body.hash, "void by another terminal")]
    stall = replace(stall, voids={**stall.voids, void.sale: upload})
    if known is None or not isinstance(known.body, Sale):
        return stall, []
    return _undo(stall, upload, known, known.body)


def _undo(stall: Stall, void: StallUpload, sold: StallUpload, sale: Sale) -> tuple[Stall, list[Event]]:
    # The money leaves the box of the session of the void; the goods return to the pool of the sale.
    stall, adjusted = _count(stall, void, LateFact.VOID, -sale.total_fen, sale.sale)
    return stall, [o.SaleVoided(**void.origin(sold.pool), sale=sale.sale, lines=list(sale.lines)), *adjusted]


def _count(stall: Stall, upload: StallUpload, fact: LateFact, amount_fen: int, sale: UUID) -> tuple[Stall, list[Event]]:
    """Add an amount to the upload's session: to its figures, or to `adjusted_fen` once it is closed and complete."""
    session = stall.sessions.get(upload.key) or Session(upload.pool)
    if not session.complete:
        return _with(stall, upload.key, replace(session, taken_fen=session.taken_fen + amount_fen)), []
    stall, adjusted = _adjust(stall, upload, session, fact, amount_fen, sale=sale)
    return stall, [adjusted]


def _adjust(
    stall: Stall, upload: StallUpload, session: Session, fact: LateFact, amount_fen: int, **more: Any
) -> tuple[Stall, Event]:
    assert session.manifest is not None
    adjusted = replace(session, adjusted_fen=session.adjusted_fen + amount_fen)
    event = o.SessionAdjusted(
        **upload.origin(), fact=fact, close_seq=session.manifest.seq, amount_fen=amount_fen, **more
    )
    return _with(stall, upload.key, adjusted), event


def conflicted(upload: StallUpload, kept: str, other: str) -> o.SaleConflicted:
    """Return the event of another content under a used number or sale id; `kept` is the hash that stays in effect."""
    return o.SaleConflicted(**upload.origin(), kept_hash=kept, other_hash=other)


def _closed(upload: StallUpload, close: Close, session: Session, complete: bool) -> Event:
    return o.SessionClosed(
        **upload.origin(),
        last_seq=close.last_seq,
        cash_fen=close.cash_fen,
        expected_fen=session.expected_fen,
        complete=complete,
    )


def _with(stall: Stall, key: SessionKey, session: Session) -> Stall:
    return replace(stall, sessions={**stall.sessions, key: session})
