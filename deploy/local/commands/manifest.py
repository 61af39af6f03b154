"""The list of a backup's contents, which is its first member; the signature of the list is the second."""

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
"""Most bytes of a list; a busy season's has some hundred thousand."""
CHUNK = 1 << 20
_PURPOSE = b"halfday backup\n"  # so that nothing else signed with this key can pass as a list


def versions() -> dict[str, str]:
    """Return the versions that must match: PostgreSQL's files fit one major version and machine type, Kafka's one
    version or newer.
    """
    return {"postgres": postgres.version(), "kafka": KAFKA, "machine": platform.machine()}


@dataclass(frozen=True)
class Manifest:
    """Time and versions of a backup, its folders, and its files by name: bytes and SHA-256 (hex)."""

    format: int
    made_at: str
    postgres: str
    kafka: str
    machine: str
    folders: list[str]
    files: dict[str, list[Any]]

    @classmethod
    def of(cls, folders: list[str], files: dict[str, list[Any]]) -> Manifest:
        """Return the list of a backup made now on this machine."""
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(FORMAT, made_at, **versions(), folders=folders, files=files)

    @classmethod
    def read(cls, content: bytes) -> Manifest:
        """Parse the result of `written`. Raises ValueError, TypeError or KeyError for anything else."""
        return cls(**json.loads(content))

    def written(self) -> bytes:
        """Return the list as bytes of the backup."""
        return json.dumps(asdict(self)).encode()

    @property
    def bytes(self) -> int:
        """The size of all its files."""
        return sum(size for size, _ in self.files.values())


def signed_part(content: bytes) -> bytes:
    """Return the bytes that the signature of a written list covers."""
    return _PURPOSE + content


class Hashing:
    """A file reader that records size and digest."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self._digest = hashlib.sha256()
        self._size = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        found = self._content.read(size)
        self._digest.update(found)
        self._size += len(found)
        return found

    def entry(self) -> list[Any]:
        """Return the list entry of the bytes that were read so far."""
        return [self._size, self._digest.hexdigest()]
