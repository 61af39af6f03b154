"""Access tokens for tests, signed as access signs them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from joserfc import jwt
from joserfc.jwk import ECKey

from services.kit.identity.directory import Directory, Point


class Issuer:
    """A signing key, and the directory of a service that knows it."""

    def __init__(self) -> None:
        self.directory, self._key = Directory(), ECKey.generate_key("P-256")
        public = self._key.as_dict(private=False)
        self.directory.signing_keys["a"] = Point(public["x"], public["y"])

    def headers(self, subject: str, scopes: Iterable[str], now: datetime, **bounds: Collection[str]) -> dict[str, str]:
        """Return the header with a token of a subject, `KIND.ID`, that lives for ten minutes."""
        issued = int(now.timestamp())
        claims = {
            "iss": "halfday", "aud": "halfday", "sub": subject, "kind": subject.partition(".")[0], "tenant": "main",
            "scope": " ".join(sorted(scopes)), "bounds": {name: sorted(ids) for name, ids in bounds.items()},
            "iat": issued, "exp": issued + 600, "jti": "1",
        }  # fmt: skip
        signed = jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "a"}, claims, self._key)
        return {"Authorization": f"Bearer {signed}"}
