"""Signatures of access tokens, proofs and uploads (ES256). The libraries take 10 MB, so they are loaded with the first
of these.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from services.kit.identity.directory import Point

ALGORITHMS = ["ES256"]
_PUBLIC = {"kty", "crv", "x", "y"}
_SIGNATURE = re.compile("[A-Za-z0-9_-]{86}")


def decode(token: str, key_of: Callable[[str], Point]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token that is signed with the key of its `kid`, by ES256 and nothing else.

    Raises ValueError for one that is not, and what `key_of` raises.
    """
    return _decode(token, lambda header: _key(*key_of(str(header.get("kid")))))


def decode_proof(proof: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a proof that is signed with the key in its own header (`jwk`, RFC 9449, 4.2), by
    ES256 and nothing else. Raises ValueError for one that is not.
    """

    def own_key(header: dict[str, Any]) -> ECKey:
        jwk = header.get("jwk")
        if not isinstance(jwk, dict) or not set(jwk) >= _PUBLIC or "d" in jwk:
            raise ValueError("jwk must be a public P-256 key")
        if (jwk["kty"], jwk["crv"]) != ("EC", "P-256"):
            raise ValueError("jwk must be a public P-256 key")
        return _key(str(jwk["x"]), str(jwk["y"]))

    return _decode(proof, own_key)


def thumbprint(x: str, y: str) -> str:
    """Return the RFC 7638 thumbprint of a P-256 key, base64url without padding."""
    return _key(x, y).thumbprint()


def verify(key: Point, signature: str, content: bytes) -> bool:
    """Return True if the signature is the key's: ECDSA with SHA-256, r and s of 32 bytes each in base64url without
    padding, as WebCrypto makes it.
    """
    if not _SIGNATURE.fullmatch(signature):
        return False
    raw = urlsafe_b64decode(signature + "==")
    try:
        public: Any = _key(key.x, key.y).public_key
        encoded = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        public.verify(encoded, content, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError, JoseError):
        return False
    return True


def _decode(text: str, key_of: Callable[[dict[str, Any]], ECKey]) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        found = jwt.decode(text, lambda signed: key_of(dict(signed.headers())), algorithms=ALGORITHMS)
    except (JoseError, TypeError) as error:
        raise ValueError(str(error)) from error
    return dict(found.header), dict(found.claims)


@lru_cache(maxsize=1024)
def _key(x: str, y: str) -> ECKey:
    return ECKey.import_key({"kty": "EC", "crv": "P-256", "x": x, "y": y})
