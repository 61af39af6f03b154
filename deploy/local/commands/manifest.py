"""The list of what a backup holds, which is its first member; the signature of the list is the second."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import IO, Any

from deploy.local.kafka.jars import ROOT as KAFKA
from deploy.local.postgres import server as postgres

FORMAT = 2
NAME, SIGNATURE = "halfday-backup.json", "halfday-backup.sig.json"
LONGEST = 64 << 20
"""Bytes of a list; that of a busy season has some hundred thousand."""
CHUNK = 1 << 20
_PURPOSE = b"halfday backup\n"  # so that no other thing signed by this key is taken for a list


def versions() -> dict[str, str]:
    """PostgreSQL's files belong to one major version and one kind of machine, Kafka's to one version or newer."""
    return {"postgres": postgres.version(), "kafka": KAFKA, "machine": platform.machine()}


@dataclass(frozen=True)
class Manifest:
    """When a backup was made and by which versions, its folders, and its files by name: bytes and SHA-256 (hex)."""

    format: int
    made_at: str
    postgres: str
    kafka: str
    machine: str
    folders: list[str]
    files: dict[str, list[Any]]

    @classmethod
    def of(cls, folders: list[str], files: dict[str, list[Any]]) -> Manifest:
        """That of a backup made here and now."""
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(FORMAT, made_at, **versions(), folders=folders, files=files)

    @classmethod
    def read(cls, content: bytes) -> Manifest:
        """The inverse of `written`; ValueError, TypeError or KeyError for anything else."""
        return cls(**json.loads(content))

    def written(self) -> bytes:
        """As it stands in the backup."""
        return json.dumps(asdict(self)).encode()

    @property
    def bytes(self) -> int:
        """The size of all its files."""
        return sum(size for size, _ in self.files.values())


def signed_part(content: bytes) -> bytes:
    """What the signature of a written list covers."""
    return _PURPOSE + content


class Hashing:
    """A file whose reader leaves its size and its digest behind."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self._digest = hashlib.sha256()
        self._size = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        found = self._content.read(size)
        self._digest.update(found)
        self._size += len(found)
        return found

    def entry(self) -> list[Any]:
        """How a list names what was read so far."""
        return [self._size, self._digest.hexdigest()]
