"""Child processes that end with their parent, write a log, and are found again after a crash."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from deploy.local.errors import StackError
from deploy.local.processes.log_rotation import rotate

LAUNCHER = Path(__file__).with_name("launcher.py")
ROOT = Path(__file__).parents[3]

# The kernel's parent-death signal fires when the *thread* that forked ends, so every child is forked by one
# thread that lives as long as this process.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forker")


def launched(command: Sequence[str | Path], who: str = "same", death: int = signal.SIGKILL) -> list[str]:
    """Return `command` wrapped so that the kernel sends it `death` when this process ends; `who` as in `launcher`."""
    wrapper = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(int(death)), who]
    program, *rest = map(str, command)
    return [*wrapper, shutil.which(program) or program, *rest]


def with_our_code(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with the project on Python's path, so that the working directory does not matter."""
    path = filter(None, (str(ROOT), environment.get("PYTHONPATH")))
    return {**environment, "PYTHONPATH": os.pathsep.join(path)}


def run(
    command: Sequence[str | Path],
    *,
    who: str = "same",
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run a short command to its end and return its code and combined output.

    The command ends with this process. Raises StackError (the command is killed) after `timeout` seconds.
    """
    try:
        # The calling thread forks it and waits for it, so the parent-death signal works.
        return subprocess.run(
            launched(command, who),
            input=stdin,
            env=dict(os.environ if env is None else env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"{Path(command[0]).name} did not end within {timeout:.0f} s") from None


class Child:
    """A running child process: its log is appended to `log`; `pidfile` holds its pid and start time.

    The caller is its direct parent, so `wait` reaps it and a dead PostgreSQL never stays a zombie.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        pidfile: Path,
        env: Mapping[str, str] | None = None,
        who: str = "same",
        death: int = signal.SIGKILL,
    ) -> None:
        self.log = log
        self.pidfile = pidfile
        log.parent.mkdir(parents=True, exist_ok=True)
        rotate(log)
        with log.open("ab") as file:
            self.log_start = file.tell()
            self._process = _forker.submit(
                subprocess.Popen,
                launched(command, who, death),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=dict(os.environ if env is None else env),
                start_new_session=True,  # Ctrl-C reaches only this process, which stops its children in order
            ).result()
        self.pid = self._process.pid
        _remember(pidfile, self.pid)

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end; return the exit code, or None if it still runs after `timeout` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, sig: int = signal.SIGTERM, timeout: float = 10) -> None:
        """Send `sig`, then SIGKILL after `timeout` seconds. On return it has ended and is reaped."""
        self.signal(sig)
        if self.wait(timeout) is None:
            self.signal(signal.SIGKILL)
            self.wait()
        self.pidfile.unlink(missing_ok=True)

    def signal(self, sig: int) -> None:
        """Send a signal; ignores a process that has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(sig)

    def output(self, limit: int = 4000) -> str:
        """Return the last `limit` bytes that this run wrote to its log."""
        with self.log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(self.log_start if self.log_start <= end else 0, end - limit))  # it may have been cut since
            return file.read().decode(errors="replace")


def kill_leftover(pidfile: Path) -> None:
    """End the process that an earlier run recorded in `pidfile`, if that very process still runs."""
    with contextlib.suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
        pid, born = json.loads(pidfile.read_text())
        found = psutil.Process(pid)
        if abs(_birth(found) - born) < 0.05:
            end(found)
    pidfile.unlink(missing_ok=True)


def end(found: psutil.Process, timeout: float = 10) -> None:
    """Send SIGKILL to a process that may not be a child; return when it has ended, at most `timeout` s later.

    A zombie counts as ended: in a container its new parent may never reap it.
    """

    def gone() -> bool:
        try:
            return bool(found.status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return True

    with contextlib.suppress(psutil.NoSuchProcess):
        found.kill()
    wait_until(gone, timeout)


def _birth(process: psutil.Process) -> float:
    # Seconds since boot: a wall clock that was set meanwhile must not hide a leftover.
    return float(process.create_time() - psutil.boot_time())


def _remember(pidfile: Path, pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        pidfile.write_text(json.dumps([pid, _birth(psutil.Process(pid))]))


def wait_until(probe: Callable[[], bool], timeout: float, every: float = 0.02) -> bool:
    """Poll `probe` until it is true or `timeout` seconds are over; return whether it became true."""
    end = time.monotonic() + timeout
    while not probe():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True
