"""Access tokens: verifies a signed JWT, and remembers the verdict until the token expires.

Source: RFC 9068 (JWT profile for access tokens), RFC 8725 (allowed algorithms are listed), RFC 7800 (`cnf`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from contracts.scopes import Scope
from contracts.values import MAIN_TENANT, Bounds, Principal
from services.kit.identity.directory import Directory, Point

ISSUER = AUDIENCE = "halfday"
TYPE = "at+jwt"
LIFE_S, LEEWAY_S = 600, 5
"""Seconds: the longest life of a token, and how far two clocks may differ."""
REMEMBERED = 20_000
"""Verified tokens that are kept; the one that was verified first is dropped."""
_LONGEST = 4096
_HAND_IN = frozenset({Scope.RECORD_HAND_IN})


class InvalidToken(Exception):
    """A token that is not accepted. The text says why, in words that a client may read."""


class _Verified(NamedTuple):
    """A verified token: its principal, the instants (Unix seconds) between which it holds, and its signing key."""

    principal: Principal
    begins: float
    expires: float
    signed_by: str


class Tokens:
    """Verifies access tokens without I/O. A token is verified once; the status of its subject, of the device's key and
    of the signing key is looked up for every request. `now`: wall-clock time.
    """

    def __init__(self, directory: Directory, now: Callable[[], datetime]) -> None:
        self._directory, self._now = directory, now
        self._verified: dict[bytes, _Verified] = {}

    def verify(self, token: str) -> Principal:
        """Return the principal of a token, with the scopes that it still has. Raises `InvalidToken`."""
        digest, now = hashlib.sha256(token.encode()).digest(), self._now().timestamp()
        found = self._verified.get(digest)
        if found is None:
            found = self._read(token)
            self._remember(digest, found)
        if not found.begins - LEEWAY_S <= now < found.expires + LEEWAY_S:
            self._verified.pop(digest, None)
            raise InvalidToken("The token has expired")
        if found.signed_by not in self._directory.signing_keys:
            raise InvalidToken("The token is signed with a key that is no longer used")
        return self._current(found.principal)

    def _current(self, principal: Principal) -> Principal:
        """Return the principal as far as access still permits it. An unknown one is as its token says: its
        event has not arrived yet, and the token does not live long.
        """
        known = self._directory.principals.get(principal.subject)
        if known is None:
            return principal
        if principal.scopes == _HAND_IN and principal.key in known.keys | known.ended:
            return principal  # of a device that has ended: its records still matter
        if not known.active or (principal.key is not None and principal.key not in known.keys):
            raise InvalidToken("The credential was revoked")
        if known.scopes >= principal.scopes and known.bounds == principal.bounds:
            return principal
        return Principal(
            principal.subject,
            principal.kind,
            principal.scopes & known.scopes,
            known.bounds,
            principal.tenant,
            principal.key,
        )

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        if len(self._verified) >= REMEMBERED:
            del self._verified[next(iter(self._verified))]
        self._verified[digest] = verified

    def _read(self, token: str) -> _Verified:
        if len(token) > _LONGEST:
            raise InvalidToken(f"The token has more than {_LONGEST} characters")
        from services.kit.identity import signatures

        try:
            header, claims = signatures.decode(token, self._key_of)
        except ValueError as error:
            raise InvalidToken("The token is not signed by this market") from error
        if header.get("typ") != TYPE:
            raise InvalidToken(f"The token is no access token (its type is not {TYPE})")
        try:
            return _verified(claims, header["kid"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidToken("A claim of the token is missing or malformed") from error

    def _key_of(self, kid: str) -> Point:
        key = self._directory.signing_keys.get(kid)
        if key is None:
            raise InvalidToken("The token is signed with an unknown key")
        return key


def _verified(claims: dict[str, Any], kid: str) -> _Verified:
    audience = claims["aud"]
    if claims["iss"] != ISSUER or AUDIENCE not in ([audience] if isinstance(audience, str) else audience):
        raise InvalidToken(f"The token is not for {AUDIENCE}")
    issued, expires = float(claims["iat"]), float(claims["exp"])
    if expires - issued > LIFE_S:
        raise InvalidToken(f"The token lives longer than {LIFE_S} seconds")
    principal = Principal(
        subject=str(claims["sub"]),
        kind=str(claims["kind"]),
        scopes=frozenset(claims["scope"].split()),
        bounds=Bounds.of(claims.get("bounds", {})),
        tenant=str(claims.get("tenant", MAIN_TENANT)),
        key=claims.get("cnf", {}).get("jkt"),
    )
    return _Verified(principal, issued, expires, kid)
