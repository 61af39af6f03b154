"""The stack as a process: `python -m deploy.local.supervisor --data DIR`."""

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.local import endpoints
from deploy.local.data.files import make_data_folder
from deploy.local.data.lock import refuse_running
from deploy.local.data.options import Options, parse_workers
from deploy.local.errors import StackError
from deploy.local.processes.child import with_our_code
from deploy.local.stack import Interrupted, Stack

PR_SET_PDEATHSIG = 1


def serve(
    data: Path,
    options: Options,
    say: Callable[[str], None],
    started: Callable[[Stack], None] = lambda _: None,
) -> None:
    """Run a stack until SIGTERM or SIGINT, then stop it; `started` is called once it is up.

    Must be called from the main thread. Raises StackError when the stack cannot start.
    """
    stack = Stack(data, options, say=say)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stack.interrupt())
    try:
        stack.start()
        started(stack)
        stack.run()
        stack.tell("stopping")
    except Interrupted:
        pass
    finally:
        stack.stop()


def die_with_parent() -> None:
    """Let the end of the parent process send SIGTERM to this one (on Linux; elsewhere without effect)."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            raise StackError("the parent process has ended")


def launch(
    data: Path, options: Options, *, with_parent: bool = False, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a supervisor process that outlives this one unless `with_parent`; its log is in DATA/logs.

    `environment` is added to that of this process. Returns at once: see `wait_ready`. Raises StackError when a stack
    runs on `data` already or the folder cannot be created.
    """
    refuse_running(data)
    make_data_folder(data)
    log = data / "logs" / "supervisor.log"
    log.write_bytes(b"")
    with log.open("ab") as file:  # appending, so that it can be cut while it is open
        # A session of its own: Ctrl-C in the terminal reaches only this process.
        return subprocess.Popen(
            command(data, options) + (["--with-parent"] if with_parent else []),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**with_our_code(os.environ), **(environment or {})},
            start_new_session=True,
        )


def wait_ready(process: subprocess.Popen[bytes], data: Path, timeout: float = 300) -> None:
    """Return when the stack that `launch` started on `data` is ready.

    Raises StackError with its last line when it ended instead, or with what it waits for after `timeout` s.
    """
    deadline = time.monotonic() + timeout
    while waiting := endpoints.waiting(data):
        if process.poll() is not None:
            lines = (data / "logs" / "supervisor.log").read_text(errors="replace").splitlines()
            raise StackError(lines[-1] if lines else f"the stack ended with code {process.returncode}")
        if time.monotonic() > deadline:
            raise StackError(f"not ready after {timeout:.0f} s: {waiting} (logs: {data / 'logs'})")
        time.sleep(0.1)


def command(data: Path, options: Options) -> list[str]:
    """Return the command line of a supervisor process with these options."""
    words = [sys.executable, "-m", "deploy.local.supervisor", "--data", str(data)]
    if options.port_base is not None:
        words += ["--port-base", str(options.port_base)]
    if options.workers:
        words += ["--workers", ",".join(f"{name}={count}" for name, count in options.workers.items())]
    if options.driven:
        words.append("--driven")
    if options.lan:
        words += ["--lan", options.lan]
    return words


def main() -> None:
    """Entry point of the process; a StackError is one line on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="deploy.local.supervisor", description="Runs the local stack.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port-base", type=int)
    parser.add_argument("--workers", type=parse_workers, default={})
    parser.add_argument("--driven", action="store_true", help="another process drives the business clock of the folder")
    parser.add_argument("--lan", default="", help="own address on which the front door listens too")
    parser.add_argument("--with-parent", action="store_true", help="stop when the parent process ends")
    given = parser.parse_args()
    options = Options(given.port_base, given.workers, given.driven, given.lan)
    try:
        if given.with_parent:
            die_with_parent()
        serve(given.data, options, lambda line: print(time.strftime("%H:%M:%S"), line, flush=True))
    except StackError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
