"""One stack at a time on a data folder."""

import fcntl
import os
import signal
import time
from pathlib import Path

from deploy.local.data.files import make_data_folder, make_private
from deploy.local.errors import StackError


class DataLock:
    """Holds a data folder (made if absent, closed to other users) until `release` or the end of this process.

    Raises StackError when another process holds it, it can't be written, or another user may have written in it. The
    lock is the operating system's, so a crash leaves none behind.
    """

    def __init__(self, data: Path) -> None:
        make_data_folder(data)
        try:
            self._file = os.fdopen(os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+")
        except OSError as error:
            raise StackError(f"{data} can't be used for data: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            refuse_running(data)
            raise StackError(f"another process just took {data}") from None
        make_private(data)  # by its holder only: while a stack runs, PostgreSQL's user may have to pass through
        self._file.truncate()
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Lets the folder go."""
        self._file.truncate(0)
        self._file.close()


def refuse_running(data: Path) -> None:
    """Raises StackError when a stack runs on `data`."""
    if pid := owner(data):
        raise StackError(
            f"a stack already runs on {data} (process {pid}); stop it with: ./halfday down --data '{data}'"
        )


def owner(data: Path) -> int | None:
    """The pid of the process that holds `data`, or None when nobody does."""
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
    """SIGTERM to the holder of `data`; True once it let go, False when nobody holds it.

    Raises StackError when it still holds after `timeout` seconds or isn't ours to stop.
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
