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
    """A process that `Restarter` starts, watches and stops."""

    @property
    def pid(self) -> int:
        """The pid of the running (or last) process."""

    def start(self) -> None:
        """Start it. Raises StackError, with no process left, when that fails."""

    def wait(self) -> int | None:
        """Block until it ends; return its exit code."""

    def stop(self) -> None:
        """End it; harmless when it is not running."""


class Restarter:
    """Starts `process` in a thread and restarts it whenever it ends, until `stop`.

    The delay before a restart doubles from 0.1 s to 10 s, so that a full disk causes no tight loop, and is short again
    once the process has run for 5 s. `started` has the error if the very first start fails; there is no further attempt
    then. `changed` is called after each start, `say` with a line after each end.
    """

    def __init__(
        self, name: str, process: Restartable, changed: Callable[[], None], say: Callable[[str], None]
    ) -> None:
        self.name = name
        self.process = process
        self.started: Future[None] = Future()
        self._changed = changed
        self._say = say
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"restarter {name}", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 60) -> None:
        """End the process for good; return when it has ended, at most `timeout` seconds later."""
        self._stopping.set()
        deadline = time.monotonic() + timeout
        # Repeatedly, because a start in progress may create its process only now.
        while self._thread.is_alive() and time.monotonic() < deadline:
            self.process.stop()
            self._thread.join(0.1)

    def _run(self) -> None:
        delay = FIRST_DELAY
        while not self._stopping.is_set():
            born = time.monotonic()
            try:
                self.process.start()
                born = time.monotonic()
                if not self.started.done():
                    self.started.set_result(None)
                self._changed()
                end = f"ended with code {self.process.wait()}"
            except Exception as error:
                self.process.stop()
                end = str(error) if isinstance(error, StackError) else repr(error)
                if not self.started.done():
                    self.started.set_exception(StackError(f"{self.name}: {end}"))
                    return
            if time.monotonic() - born > HEALTHY_AFTER:
                delay = FIRST_DELAY
            if not self._stopping.is_set():
                self._say(f"{self.name}: {end}; restarting in {delay:g} s")
                self._stopping.wait(delay)
                delay = min(delay * 2, LONGEST_DELAY)
