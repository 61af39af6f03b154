"""Secrets at rest: keyed digests of what is only compared, encryption of what has to be read again."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class Vault:
    """Keyed digests with the pepper, and AES-256-GCM with the encryption key.

    A stolen database alone gives neither a code, a phone number nor a signing key.
    """

    def __init__(self, pepper: bytes, key: bytes) -> None:
        self._pepper = pepper
        self._cipher = AESGCM(key)

    def digest(self, purpose: str, text: str) -> bytes:
        """Return the HMAC-SHA-256 of a secret for a purpose; a digest for one purpose is of no use for another."""
        return hmac.digest(self._pepper, f"{purpose}\0{text}".encode(), hashlib.sha256)

    def seal(self, purpose: str, content: bytes) -> bytes:
        """Return the encrypted content, bound to its purpose: it opens as nothing else."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, content, purpose.encode())

    def open(self, purpose: str, sealed: bytes) -> bytes:
        """Return the content. Raises `InvalidTag` for a changed one, another purpose or another key."""
        return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], purpose.encode())


def same(one: bytes, other: bytes) -> bool:
    """Compare two digests in constant time."""
    return hmac.compare_digest(one, other)
