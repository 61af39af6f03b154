"""Passwords and tokens of a data folder: random, created once, readable by their owner only."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from contracts.topics import ADMIN, OBSERVER, SERVICES
from deploy.local.data.files import write_private

ROLES = ("operator", "terminal", "courier", "leader", "buyer")


@dataclass(frozen=True)
class Secrets:
    """Passwords and tokens of the stack's parts; they must never be in argv or in a log."""

    kafka: Mapping[str, str]
    postgres: Mapping[str, str]
    tokens: Mapping[str, str]
    quote_key: str

    @classmethod
    def load(cls, data: Path) -> "Secrets":
        """Return those of `data`, created on the first call."""
        file = data / "secrets.json"
        if not file.exists():
            write_private(file, json.dumps(asdict(cls._make()), indent=1))
        return cls(**json.loads(file.read_text()))

    @classmethod
    def _make(cls) -> "Secrets":
        def each(*names: str) -> dict[str, str]:
            return {name: secrets.token_urlsafe(24) for name in names}

        return cls(
            kafka=each(ADMIN, *SERVICES, OBSERVER),
            postgres=each(*SERVICES),
            tokens=each(*ROLES),
            quote_key=secrets.token_hex(32),
        )

    def digests(self) -> dict[str, str]:
        """Return role to SHA-256 hex of its token: the only form that a service receives."""
        return {role: hashlib.sha256(token.encode()).hexdigest() for role, token in self.tokens.items()}
