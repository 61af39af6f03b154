"""Proof of possession: a caller with a token that is bound to a key shows with each request that it has the key.

Source: RFC 9449 (DPoP). A proof is good for one request: its method and address, its token, its minute.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

TYPE = "dpop+jwt"
WINDOW_S, AHEAD_S = 60, 10
"""Seconds: how old a proof may be, and how far the device's clock may be ahead. Within them its id is accepted once."""
REMEMBERED = 50_000
"""Ids of proofs that are kept. When there are more, proofs as old as the dropped ones are no longer accepted."""
_LONGEST = 2048
_SERVICE = re.compile(r"/api/[a-z]+(?=/v1/)")


class InvalidProof(Exception):
    """A proof that is not accepted. The text says why, in words that a client may read."""


class Call(NamedTuple):
    """The request that a proof is for: `path` without its query, `host` as the client named it."""

    method: str
    host: str
    path: str


class Proofs:
    """Checks proofs without I/O. `now`: wall-clock time. A process accepts the id of a proof once."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._used: dict[tuple[str, str], int] = {}
        self._oldest = 0

    def check(self, proof: str, token: str, thumbprint: str, call: Call) -> None:
        """Accept the proof of a token that is bound to the key with this thumbprint. Raises `InvalidProof`."""
        if not proof:
            raise InvalidProof("The token is bound to a key: send a proof of possession in the DPoP header (RFC 9449)")
        if len(proof) > _LONGEST:
            raise InvalidProof(f"The proof has more than {_LONGEST} characters")
        from services.kit.identity import signatures

        try:
            header, claims = signatures.decode_proof(proof)
            found = signatures.thumbprint(header["jwk"]["x"], header["jwk"]["y"])
            if header.get("typ") != TYPE:
                raise InvalidProof(f"The proof's type must be {TYPE}")
            if not hmac.compare_digest(found, thumbprint):
                raise InvalidProof("The proof is signed by another key than the one that the token is bound to")
            self._check(claims, token, thumbprint, call)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidProof("The proof is no JWT that the key in its own header has signed with ES256") from error

    def _check(self, claims: dict[str, Any], token: str, thumbprint: str, call: Call) -> None:
        if claims.get("htm") != call.method or not _is_address(str(claims.get("htu")), call):
            raise InvalidProof("htm and htu of the proof must be the method and the address of this request")
        if not hmac.compare_digest(str(claims.get("ath")).encode(), _digest(token).encode()):
            raise InvalidProof("ath of the proof must be the SHA-256 of the token, base64url")
        at, jti, now = claims["iat"], claims["jti"], int(self._now().timestamp())
        if isinstance(at, bool) or not isinstance(at, int) or not now - WINDOW_S <= at <= now + AHEAD_S:
            when = f"must be now, or up to {WINDOW_S} s ago"
            raise InvalidProof(f"iat of the proof {when}: compare the device's clock with the Date header")
        if not isinstance(jti, str) or not 8 <= len(jti) <= 64:
            raise InvalidProof("jti of the proof must be a text of 8 to 64 characters, another one each time")
        self._use((thumbprint, jti), at, now)

    def _use(self, id: tuple[str, str], at: int, now: int) -> None:
        used = self._used
        while used and (first := next(iter(used))) and used[first] < now - WINDOW_S:
            del used[first]
        if id in used or at <= self._oldest:
            raise InvalidProof("The proof was used before; make another one for each request")
        if len(used) >= REMEMBERED:
            self._oldest = max(self._oldest, used.pop(next(iter(used))))
        used[id] = at


def _is_address(given: str, call: Call) -> bool:
    """Return True for the address of a request: directly, or through the front door, which strips `/api/SERVICE`."""
    address = urlsplit(given)
    path = unquote(address.path)
    return address.netloc.lower() == call.host.lower() and call.path in {path, _SERVICE.sub("", path, count=1)}


def _digest(token: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
