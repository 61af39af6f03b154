"""Signatures of access tokens (ES256). The library takes 10 MB, so it is loaded with the first access token."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from services.kit.identity.directory import Point

ALGORITHMS = ["ES256"]


def decode(token: str, key_of: Callable[[str], Point]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token that is signed with the key of its `kid`, by ES256 and nothing else.

    Raises ValueError for one that is not, and what `key_of` raises.
    """
    try:
        found = jwt.decode(token, lambda signed: _key(*key_of(str(signed.headers().get("kid")))), algorithms=ALGORITHMS)
    except (JoseError, TypeError) as error:
        raise ValueError(str(error)) from error
    return dict(found.header), dict(found.claims)


@lru_cache(maxsize=16)
def _key(x: str, y: str) -> ECKey:
    return ECKey.import_key({"kty": "EC", "crv": "P-256", "x": x, "y": y})
