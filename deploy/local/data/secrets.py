"""Passwords and tokens of a data folder: random, created once, readable by their owner only."""

import hashlib
import json
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from contracts.topics import ADMIN, DEPLOYED, OBSERVER
from deploy.local.data.files import write_private

ROLES = ("operator", "terminal", "courier", "leader", "buyer")


@dataclass(frozen=True)
class Secrets:
    """Passwords and tokens of the stack's parts; they must never be in argv or in a log.

    `capability_key` and `member_key` are those of orders alone, `access_pepper` and `access_key` those of access alone,
    see the settings of each. `payment_secret` signs the callbacks of the simulator of a payment provider.
    """

    kafka: Mapping[str, str]
    postgres: Mapping[str, str]
    tokens: Mapping[str, str]
    quote_key: str
    capability_key: str
    payment_secret: str
    member_key: str
    access_pepper: str
    access_key: str

    @classmethod
    def load(cls, data: Path) -> "Secrets":
        """Return those of `data`, created on the first call; a folder of an older version gets those that it lacks."""
        file = data / "secrets.json"
        kept = json.loads(file.read_text()) if file.exists() else {}
        found = {name: _completed(kept.get(name), made) for name, made in asdict(cls._make()).items()}
        if found != kept:
            write_private(file, json.dumps(found, indent=1))
        return cls(**found)

    @classmethod
    def _make(cls) -> "Secrets":
        def each(*names: str) -> dict[str, str]:
            return {name: secrets.token_urlsafe(24) for name in names}

        return cls(
            kafka=each(ADMIN, *DEPLOYED, OBSERVER),
            postgres=each(*DEPLOYED),
            tokens=each(*ROLES),
            quote_key=secrets.token_hex(32),
            capability_key=secrets.token_hex(32),
            payment_secret=f"whsec_{b64encode(secrets.token_bytes(32)).decode()}",
            member_key=secrets.token_hex(32),
            access_pepper=secrets.token_hex(32),
            access_key=secrets.token_hex(32),
        )

    def digests(self) -> dict[str, str]:
        """Return role to SHA-256 hex of its token: the only form that a service receives."""
        return {role: hashlib.sha256(token.encode()).hexdigest() for role, token in self.tokens.items()}


def _completed(kept: Any, made: Any) -> Any:
    """Return the kept value, with the entries that it lacks."""
    return {**made, **(kept or {})} if isinstance(made, dict) else kept or made
