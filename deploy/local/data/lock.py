"""Lock of a data folder: one stack at a time."""

import fcntl
import os
import signal
import time
from pathlib import Path

from deploy.local.data.files import make_data_folder, make_private
from deploy.local.errors import StackError


class DataLock:
    """Locks a data folder (created if absent, closed to other users) until `release` or the end of this process.

    Raises StackError when another process has it locked, when it is not writable, or when another user may have written
    in it. The lock is the operating system's, so a crash leaves none behind.
    """

    def __init__(self, data: Path) -> None:
        make_data_folder(data)
        try:
            self._file = os.fdopen(os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+")
        except OSError as error:
            raise StackError(f"{data} can't be used as data folder: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            refuse_running(data)
            raise StackError(f"another process just took {data}") from None
        make_private(data)  # only with the lock: while a stack runs, PostgreSQL's user may need access
        self._file.truncate()
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Release the folder."""
        self._file.truncate(0)
        self._file.close()


def refuse_running(data: Path) -> None:
    """Raise StackError when a stack runs on `data`."""
    if pid := owner(data):
        raise StackError(
            f"a stack already runs on {data} (process {pid}); stop it with: ./halfday down --data '{data}'"
        )


def owner(data: Path) -> int | None:
    """Return the pid of the process that has `data` locked, or None."""
    try:
        with (data / "lock").open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0) or None
    except FileNotFoundError:
        return None
    return None


def stop_owner(data: Path, timeout: float = 90) -> bool:
    """Send SIGTERM to the process that has `data` locked. Return True once it has released it, False if there is none.

    Raises StackError when it has not released it after `timeout` seconds, or when it belongs to another user.
    """
    pid = owner(data)
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError:
        raise StackError(f"the stack on {data} belongs to another user (process {pid})") from None
    deadline = time.monotonic() + timeout
    while owner(data) is not None:
        if time.monotonic() > deadline:
            raise StackError(f"process {pid} did not stop within {timeout:.0f} s; see {data / 'logs'}")
        time.sleep(0.05)
    return True
