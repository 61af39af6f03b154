"""Access tokens for tests, signed as access signs them, and keys of devices that they are bound to."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import ECKey

from services.kit.identity.directory import Directory, Point


class DeviceKey:
    """The key of a device, which signs as WebCrypto does. `head`: the last link of the chain of its records."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._jwk = ECKey.import_key(self._key)
        self.head = self.thumbprint = self._jwk.thumbprint()

    @property
    def public(self) -> dict[str, str]:
        """The public key (RFC 7517)."""
        found = self._jwk.as_dict(private=False)
        return {name: str(found[name]) for name in ("kty", "crv", "x", "y")}

    def sign(self, content: bytes) -> str:
        """Return r and s of a signature, base64url."""
        r, s = decode_dss_signature(self._key.sign(content, ec.ECDSA(SHA256())))
        return _url64(r.to_bytes(32) + s.to_bytes(32))

    def proof(
        self, token: str, method: str, address: str, now: datetime, header: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """Return a proof of possession (RFC 9449); a claim that is None is left out."""
        given = {
            "jti": str(uuid4()), "htm": method, "htu": address, "iat": int(now.timestamp()),
            "ath": _url64(hashlib.sha256(token.encode()).digest()),
        } | claims  # fmt: skip
        headers = {"alg": "ES256", "typ": "dpop+jwt", "jwk": self.public} | (header or {})
        signed = {name: one for name, one in headers.items() if one is not None}
        return jwt.encode(signed, {name: one for name, one in given.items() if one is not None}, self._jwk)


class Issuer:
    """A signing key, and the directory of a service that knows it."""

    def __init__(self) -> None:
        self.directory, self._key, self.tenant = Directory(), ECKey.generate_key("P-256"), "main"
        public = self._key.as_dict(private=False)
        self.directory.signing_keys["a"] = Point(public["x"], public["y"])

    def headers(self, subject: str, scopes: Iterable[str], now: datetime, **bounds: Collection[str]) -> dict[str, str]:
        """Return the header with a token of a subject, `KIND.ID`, that lives for ten minutes."""
        return {"Authorization": f"Bearer {self.token(subject, scopes, now, **bounds)}"}

    def token(
        self,
        subject: str,
        scopes: Iterable[str],
        now: datetime,
        key: DeviceKey | None = None,
        **bounds: Collection[str],
    ) -> str:
        """Return a token of a subject, bound to the key where one is given."""
        issued = int(now.timestamp())
        claims = {
            "iss": "halfday", "aud": "halfday", "sub": subject, "kind": subject.partition(".")[0],
            "tenant": self.tenant,
            "scope": " ".join(sorted(scopes)), "bounds": {name: sorted(ids) for name, ids in bounds.items()},
            "iat": issued, "exp": issued + 600, "jti": "1",
        }  # fmt: skip
        claims |= {"cnf": {"jkt": key.thumbprint}} if key else {}
        return jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "a"}, claims, self._key)


def _url64(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
