"""A device's numbered records, and the choices of what it uploads: everything once, twice, in pieces, in any order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, Protocol

from contracts.uploads import canonical, digest_of, next_link, signed_bytes
from deploy.scenarios.actors.client import BrokenPromise

Upload = dict[str, Any]
DONE = frozenset({"applied", "repeated"})
MAX_UPLOADS = 100


class Signer(Protocol):
    """The key of a device, and the last link of its chain through all sessions: at first the key's thumbprint."""

    head: str

    def sign(self, content: bytes) -> str:
        """Return the signature, r and s in base64url."""
        ...


@dataclass(slots=True)
class Device:
    """One device in one session. `owner` is `terminal/ID` or `courier/ID`.

    Records are numbered from 1 without gaps, and each is chained to the one before by its hash. They are kept: the
    first `sent` of them were handed out at least once, the first `confirmed` were received. A device with a `signer`
    signs what it sends; without one its records carry their hashes.
    """

    owner: str
    name: str
    session: str
    recorded: list[Upload] = field(default_factory=list)
    sent: int = 0
    confirmed: int = 0
    signer: Signer | None = None
    _link: str | None = None
    _links: list[tuple[str, str]] = field(default_factory=list)

    def record(self, kind: str, at: datetime, body: Mapping[str, Any]) -> Upload:
        """Store a fact; `at` is the device's time."""
        upload: Upload = {"session": self.session, "seq": len(self.recorded) + 1, "recorded_at": at.isoformat()}
        upload |= {"kind": kind, "body": body}
        before = self.signer.head if self.signer else self._link
        link = next_link(self.owner, {**upload, "device": self.name}, before)
        if self.signer:
            self._links.append((self.signer.head, link))
            self.signer.head = link
        else:
            upload |= {"body_hash": digest_of(canonical(body)), "prev_hash": before}
            self._link = link
        self.recorded.append(upload)
        return upload

    def seal(self, uploads: Sequence[Upload]) -> dict[str, str]:
        """Return the fields of a request that cover these consecutive records with a signature; none without a key."""
        if not self.signer or not uploads:
            return {}
        before, last = self._links[uploads[0]["seq"] - 1][0], self._links[uploads[-1]["seq"] - 1][1]
        return {"prev_hash": before, "signature": self.signer.sign(signed_bytes(last))}

    def unsent(self, most: int | None = None) -> list[Upload]:
        """Return the records since the last call, which count as sent from now on."""
        fresh = self.recorded[self.sent :][:most]
        self.sent += len(fresh)
        return fresh

    def unsent_and_old(self, rng: Random) -> list[Upload]:
        """Return new records with some that were sent before, in any order."""
        old = rng.sample(self.recorded[: self.sent], min(self.sent, rng.choice([0, 2, 10])))
        found = self.unsent(MAX_UPLOADS) + old
        return rng.sample(found, len(found))

    def confirm(self, through: int) -> None:
        """Record that the service has received the records up to this number."""
        self.confirmed = max(self.confirmed, through)

    @property
    def unconfirmed(self) -> list[Upload]:
        """The records that the service is not known to have."""
        return self.recorded[self.confirmed :]


def check_applied(owner: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a sync in which every upload was applied or a repeat. Raises `BrokenPromise`."""
    if wrong := [one for one in answer["uploads"] if one["answer"] not in DONE or one["flags"]]:
        raise BrokenPromise(f"{owner}: an upload was not applied: {wrong[0]}")
    return answer


def in_pieces(rng: Random, uploads: list[Upload], size: int) -> list[list[Upload]]:
    """Return a backlog as an unreliable network delivers it: split, and some pieces, at least one, twice."""
    pieces = [uploads[n : n + size] for n in range(0, len(uploads), size)]
    sent_again = [rng.random() < 0.4 for _ in pieces]
    if pieces and not any(sent_again):
        sent_again[0] = True
    return [piece for piece, again in zip(pieces, sent_again, strict=True) for _ in range(1 + again)]
