"""Checks of a data folder and its stack: each returns a sentence, or raises `StackError` with what to do."""

import contextlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from deploy.local import endpoints
from deploy.local.commands.doctor_machine import disk
from deploy.local.data import contract_record
from deploy.local.data.clock import saved_segment
from deploy.local.data.files import refuse_shared
from deploy.local.data.lock import owner
from deploy.local.data.ports import is_free
from deploy.local.errors import StackError
from deploy.local.postgres import server
from services.kit.clock import Clock

_SKEW_S = 120.0
# PostgreSQL's own group needs access to some folders if root runs it as another user.
_CLOSED = {
    ".": 0o710,
    "logs": 0o700,
    "kafka": 0o700,
    "postgres": 0o710,
    "postgres/data": 0o700,
    "door": 0o700,
    "door/authority/root.key": 0o600,
    "secrets.json": 0o600,
    "endpoints.json": 0o600,
    "kafka/server.properties": 0o600,
    "postgres/password": 0o600,
}
"""The widest mode allowed for each of them."""


def folder(data: Path) -> str:
    """Check that only the owner can read the folder; report its path and size."""
    refuse_shared(data, "move it to your own folder")
    for name, most in _CLOSED.items():
        path = data / name
        if path.exists() and (mode := stat.S_IMODE(path.stat().st_mode)) & ~most:
            raise StackError(f"other users have access to {path} (mode {mode:03o}); run: chmod {most:03o} '{path}'")
    size = sum(found.st_blocks * 512 for found in _stats(data))
    return f"{data}, {size / 1e6:.0f} MB; {disk(data)}"


def state(data: Path) -> str:
    """Check that Kafka's and PostgreSQL's data exist, in a version that runs here."""
    has = {
        "secrets": (data / "secrets.json").exists(),
        "topics": (data / "kafka/data/formatted").exists(),
        "databases": (data / "postgres/data/PG_VERSION").exists(),
    }
    if not any(has.values()):
        return "empty; the first start creates it"
    if not all(has.values()):
        # Without secrets.json new passwords would be created, which fit neither broker nor databases.
        lost = [what for what, there in has.items() if not there]
        remedy = "restore a backup, or start with a new folder" if "secrets" in lost else _remedy(lost)
        raise StackError(f"{' and '.join(lost)} missing; {remedy}")
    made = (data / "postgres/data/PG_VERSION").read_text().strip()
    if made != server.version():
        raise StackError(
            f"its databases are of PostgreSQL {made}, this Halfday has {server.version()}; use one with {made}"
        )
    contract_record.check(data)
    return f"secrets, topics and databases (PostgreSQL {made}) exist, with this version's contracts"


def _remedy(lost: list[str]) -> str:
    if lost == ["topics"]:
        return "start the stack, then publish them again: ./halfday audit --republish"
    return "restore a backup, or continue if this folder was just created"


def data_clock(data: Path) -> str:
    """Check that the clock was not set back since the folder was last written; report the business clock."""
    newest = max((found.st_mtime for found in _stats(data)), default=0.0)
    if newest > time.time() + _SKEW_S:
        then = datetime.fromtimestamp(newest, UTC)
        raise StackError(
            f"it was written at {then:%F %R} UTC, later than now: the machine's clock was set back; correct it"
        )
    kept = saved_segment(data)
    if kept is None:
        return "real time"
    return f"business time, {Clock(kept).now():%F %R} UTC" + ("" if kept.latest is None else ", driven by a demo day")


def data_ports(data: Path) -> str:
    """Check that the folder's ports are free while no stack runs on it."""
    file = data / "ports.json"
    known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    if owner(data):
        return f"{len(known)} in use by its stack"
    taken = [f"{name} ({port})" for name, port in known.items() if not is_free(port)]
    if taken:
        return f"other programs use those of {', '.join(taken)}; the next start uses others"
    return f"{len(known)} reserved and free"


def stack(data: Path) -> str:
    """Check that the stack on the folder is ready in all its parts, if one runs."""
    pid = owner(data)
    if pid is None:
        return f"not running; start it with: ./halfday up --data '{data}'"
    if waiting := endpoints.waiting(data):
        raise StackError(f"process {pid} runs it, not ready: {waiting} (logs: {data / 'logs'})")
    if degraded := endpoints.degraded(data):
        raise StackError(f"process {pid} runs it, degraded: {degraded}")
    return f"process {pid} runs it, all parts ready"


def _stats(data: Path) -> Iterator[os.stat_result]:
    """Yield the status of each file; a running stack creates and removes some meanwhile."""
    for path in data.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            found = path.stat()
            if stat.S_ISREG(found.st_mode):
                yield found


CHECKS: dict[str, Callable[[Path], str]] = {
    "data": folder,
    "state": state,
    "data clock": data_clock,
    "data ports": data_ports,
    "stack": stack,
}
