"""One process of a stack that a `Restarter` starts again: its log, its pidfile, its end."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.processes import child


class Managed:
    """The process `name` of a data folder, with DATA/logs/NAME.log and DATA/pids/NAME. A leftover of an earlier run
    ends when the object is made.

    `grace` are the seconds after which SIGTERM becomes SIGKILL; `death` is the signal that it gets when this process
    dies.
    """

    def __init__(self, name: str, data: Path, *, grace: float, death: int = signal.SIGKILL) -> None:
        self._grace, self._death = grace, death
        self._log = data / "logs" / f"{name}.log"
        self._pidfile = data / "pids" / name
        self._pidfile.parent.mkdir(exist_ok=True)
        child.kill_leftover(self._pidfile)
        self._child: child.Child | None = None

    @property
    def pid(self) -> int:
        """The pid of the running (or last) process; 0 before the first start."""
        return self._child.pid if self._child else 0

    def launch(self, command: Sequence[str], environment: Mapping[str, str]) -> child.Child:
        """Return the new process, as soon as it exists."""
        self._child = child.Child(command, log=self._log, pidfile=self._pidfile, env=environment, death=self._death)
        return self._child

    def wait(self) -> int | None:
        """Block until it ends; return its exit code."""
        return self._child.wait() if self._child else None

    def stop(self) -> None:
        """End it by SIGTERM, and by SIGKILL after the grace period; on return it has ended."""
        if self._child:
            self._child.stop(timeout=self._grace)
