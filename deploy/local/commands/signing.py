"""The operator's Ed25519 key that signs backups, created once per account, mode 0600."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from deploy.local.data.files import create_private, draft_of, put_in_place, refuse_shared
from deploy.local.errors import StackError


@dataclass(frozen=True)
class Signature:
    """A signature of 64 bytes and the public key of 32 bytes that verifies it."""

    key: bytes
    signature: bytes

    @classmethod
    def read(cls, content: bytes) -> Signature:
        """Parse the result of `written`. Raises ValueError or KeyError for anything else."""
        found = json.loads(content)
        return cls(base64.b64decode(found["key"], validate=True), base64.b64decode(found["signature"], validate=True))

    def written(self) -> bytes:
        """Return it as JSON, for a file beside the signed content."""
        return json.dumps({name: base64.b64encode(value).decode() for name, value in vars(self).items()}).encode()

    def verifies(self, content: bytes) -> bool:
        """Return whether the owner of `key` signed exactly this content."""
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(self.signature, content)
        except (InvalidSignature, ValueError):
            return False
        return True

    @property
    def signer(self) -> str:
        """The fingerprint of `key`: `SHA256:` and 43 characters."""
        return f"SHA256:{base64.b64encode(hashlib.sha256(self.key).digest()).decode().rstrip('=')}"


def key_file() -> Path:
    """Return the key's path: `halfday/backup.key` in XDG_CONFIG_HOME, else in ~/.config. Raises StackError without a
    home.
    """
    try:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    except RuntimeError:
        raise StackError("there is no home folder for the key of backups; set XDG_CONFIG_HOME to a folder") from None
    return base.absolute() / "halfday" / "backup.key"


def sign(content: bytes) -> Signature:
    """Sign with the account's key, which is created on the first call.

    Raises StackError when it cannot be stored, when other users can read or replace it, and when it is not such a key.
    """
    file = key_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        refuse_shared(file.parent, "set XDG_CONFIG_HOME to your own folder")
        if not file.exists():
            _make(file)
        key = _load(file)
    except OSError as error:
        raise StackError(f"{file}, the key of backups, can't be used: {error.strerror}") from None
    return Signature(key.public_key().public_bytes_raw(), key.sign(content))


def own_signer() -> str | None:
    """Return the fingerprint of the account's key, or None if it has none yet."""
    return sign(b"").signer if key_file().exists() else None


def _make(file: Path) -> None:
    draft = draft_of(file)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        with open(create_private(draft), "wb") as target:
            target.write(pem)
            target.flush()
            os.fsync(target.fileno())
        put_in_place(draft, file)
    except FileExistsError:  # another process created it meanwhile
        pass
    finally:
        draft.unlink(missing_ok=True)


def _load(file: Path) -> Ed25519PrivateKey:
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise StackError(f"other users have access to {file}, the key that signs your backups; run: chmod 600 '{file}'")
    try:
        key = load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise StackError(f"{file} is not an Ed25519 key in PEM; move it away, and the next backup creates a new one")
    return key
