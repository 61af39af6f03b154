"""Records and uploads of a device: numbered per session, kept until sent, sent as often as needed."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

Upload = dict[str, Any]


@dataclass(slots=True)
class Recorder:
    """The memory of one device in one session. Numbers start at 1 without gaps; each upload is chained to the one
    before by its hash. `owner` is `terminal/ID` or `courier/ID`.
    """

    owner: str
    device: str
    session: str
    kept: list[Upload] = field(default_factory=list)
    sent: int = 0
    _link: str | None = None

    def record(self, kind: str, at: datetime, body: dict[str, Any]) -> Upload:
        """Store a fact; `at` is the device's time."""
        upload: Upload = {"session": self.session, "seq": len(self.kept) + 1, "recorded_at": at.isoformat()}
        upload |= {"kind": kind, "body": body, "body_hash": _hash(body), "prev_hash": self._link}
        role, _, id = self.owner.partition("/")
        link = {name: value for name, value in upload.items() if name != "body"}
        self._link = _hash({"v": 1, role: id, "device": self.device, **link})
        self.kept.append(upload)
        return upload

    def unsent(self) -> list[Upload]:
        """Return the records since the last call, which count as sent from now on."""
        fresh, self.sent = self.kept[self.sent :], len(self.kept)
        return fresh


def unwanted(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return answers to uploads that were neither applied nor repeats, or that have a flag."""
    return [one for one in answers if one["answer"] not in {"applied", "repeated"} or one["flags"]]


def _hash(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def in_pieces(rng: Random, uploads: list[Upload], size: int) -> list[list[Upload]]:
    """Return a backlog as an unreliable network delivers it: split, and some pieces, at least one, twice."""
    pieces = [uploads[n : n + size] for n in range(0, len(uploads), size)]
    sent_again = [rng.random() < 0.4 for _ in pieces]
    if pieces and not any(sent_again):
        sent_again[0] = True
    return [piece for piece, again in zip(pieces, sent_again, strict=True) for _ in range(1 + again)]
