"""Keeps one process running."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from deploy.local.errors import StackError

FIRST_DELAY, LONGEST_DELAY = 0.1, 10.0
HEALTHY_AFTER = 5.0


class Restartable(Protocol):
    """What a keeper starts, watches and stops."""

    @property
    def pid(self) -> int:
        """The pid of the running (or last) process."""

    def start(self) -> None:
        """Starts it; raises StackError, with no process left, when that fails."""

    def wait(self) -> int | None:
        """Blocks until it ends; returns its exit code."""

    def stop(self) -> None:
        """Ends it; harmless when it isn't running."""


class Restarter:
    """Starts `kept` in a thread and starts it again whenever it ends, until `stop`.

    The pause before a restart doubles from 0.1 s to 10 s, so that a full disk is no tight loop, and is short
    again once the process lived 5 s. `started` holds the error if the very first start fails; nothing is
    tried again then. `changed` is called after each start, `say` with a line after each end.
    """

    def __init__(self, name: str, kept: Restartable, changed: Callable[[], None], say: Callable[[str], None]) -> None:
        self.name = name
        self.kept = kept
        self.started: Future[None] = Future()
        self._changed = changed
        self._say = say
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"keeper {name}", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 60) -> None:
        """Ends the process for good; returns when it is gone, at most `timeout` seconds later."""
        self._stopping.set()
        deadline = time.monotonic() + timeout
        # Again and again, since a start that is under way may only now have made its process.
        while self._thread.is_alive() and time.monotonic() < deadline:
            self.kept.stop()
            self._thread.join(0.1)

    def _keep(self) -> None:
        delay = FIRST_DELAY
        while not self._stopping.is_set():
            born = time.monotonic()
            try:
                self.kept.start()
                born = time.monotonic()
                if not self.started.done():
                    self.started.set_result(None)
                self._changed()
                end = f"ended with code {self.kept.wait()}"
            except Exception as error:
                self.kept.stop()
                end = str(error) if isinstance(error, StackError) else repr(error)
                if not self.started.done():
                    self.started.set_exception(StackError(f"{self.name}: {end}"))
                    return
            if time.monotonic() - born > HEALTHY_AFTER:
                delay = FIRST_DELAY
            if not self._stopping.is_set():
                self._say(f"{self.name}: {end}; it is started again in {delay:g} s")
                self._stopping.wait(delay)
                delay = min(delay * 2, LONGEST_DELAY)
