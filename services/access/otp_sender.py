"""The port that sends one-time codes to phones, and the embedded default: a file."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from pathlib import Path
from typing import Protocol

import orjson

from services.access.domain.otp import LIFE


class OtpSender(Protocol):
    """Sends a code to a phone, such as by SMS.

    A message may come late, twice or never: a code is used once, a newer one replaces it, and who gets none asks again.
    """

    async def send(self, phone: str, code: str, at: datetime) -> None:
        """Hand the code for a phone (E.164) to the provider. Any exception means that it was not sent."""


class FileSender:
    """Writes codes to a file that only its owner may read: one JSON object a line, those of the last five minutes.

    For a single machine, where an operator reads a code to the person (`halfday access codes`).
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._turn = asyncio.Lock()

    async def send(self, phone: str, code: str, at: datetime) -> None:
        """Write the code; the file is replaced as a whole, so that a reader never sees half a line."""
        line = {"at": at, "phone": phone, "code": code}
        async with self._turn:
            await asyncio.to_thread(self._write, orjson.dumps(line), at - LIFE)

    def _write(self, line: bytes, since: datetime) -> None:
        kept = [one for one in self._lines() if datetime.fromisoformat(orjson.loads(one)["at"]) > since]
        draft = self._file.with_suffix(".draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"\n".join([*kept, line]) + b"\n")
        draft.replace(self._file)

    def _lines(self) -> list[bytes]:
        return self._file.read_bytes().splitlines() if self._file.exists() else []
