"""Caddy as a child process of the stack."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.data.files import write_private
from deploy.local.data.ports import Ports, is_free
from deploy.local.door import trust
from deploy.local.door.caddyfile import DoorSettings, Listener, TrustPage, render
from deploy.local.door.lan import host_names
from deploy.local.errors import StackError
from deploy.local.processes import child

START_S = 15.0
STOP_S = 10.0


def program() -> str:
    """Return the path of Caddy. Raises StackError if it is not installed."""
    found = shutil.which("caddy", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise StackError(
            "Caddy is not installed beside this Python nor on the PATH; remove .venv and run ./halfday again"
        )
    return found


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of Caddy: all that it would write to the home folder is written to `folder`."""
    return {**os.environ, "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}


def write_checked(settings: DoorSettings, folder: Path) -> list[str]:
    """Write the Caddyfile to `folder` and return the command that runs it.

    Raises StackError with Caddy's words for an invalid file: `caddy run` ends without any (2.11.7).
    """
    file = folder / "Caddyfile"
    write_private(file, render(settings))
    configured = ["--config", str(file), "--adapter", "caddyfile"]
    done = child.run([program(), "validate", *configured], env=environment(folder))
    if done.returncode:
        raise StackError(f"the front door's {file} is invalid: {done.stdout.strip().splitlines()[-1]}")
    return [program(), "run", *configured]


def settings_of(data: Path, ports: Ports, upstreams: Mapping[str, str], lan: str = "") -> DoorSettings:
    """Return the settings for a data folder: a listener for this machine, and with an own address `lan` one with TLS
    for the local network, with the page on which its devices get the certificate.
    """
    listeners = [Listener("127.0.0.1", ports.get("door"), ("127.0.0.1", "localhost"))]
    trust_page = None
    if lan:
        listeners.append(Listener(lan, ports.get("door.lan", lan), host_names(lan), tls=True))
        trust_page = TrustPage(lan, ports.get("door.trust", lan), data / "door" / "trust")
    return DoorSettings(upstreams, tuple(listeners), data / "door" / "storage", trust=trust_page)


class Door:
    """The front door of a stack, restarted like every other process. Its folder is DATA/door."""

    def __init__(self, data: Path, settings: DoorSettings) -> None:
        self._folder = data / "door"
        self._settings = settings
        self._log = data / "logs" / "door.log"
        self._pidfile = data / "pids" / "door"
        self._pidfile.parent.mkdir(exist_ok=True)
        self._folder.mkdir(exist_ok=True, mode=0o700)
        child.kill_leftover(self._pidfile)
        self._child: child.Child | None = None

    @property
    def pid(self) -> int:
        """The pid of the running (or last) process; 0 before the first start."""
        return self._child.pid if self._child else 0

    def start(self) -> None:
        """Return when the door listens everywhere. Raises StackError for a port in use and when Caddy ends instead."""
        command = write_checked(self._settings, self._folder)
        if self._settings.trust:
            self._settings.trust.folder.mkdir(exist_ok=True, mode=0o700)
        for bind, port in self._addresses():
            # Caddy sets SO_REUSEPORT: a second one would share the connections of the first without an error.
            if not is_free(port, bind):
                raise StackError(f"port {port} of {bind} is in use by another program")
        self._child = child.Child(
            command,
            log=self._log,
            pidfile=self._pidfile,
            env=environment(self._folder),
            death=signal.SIGTERM,
        )
        started = child.wait_until(lambda: self._ended() or all(map(_listens, self._addresses())), START_S)
        if not started or self._ended():
            raise StackError(self._failure())
        if self._settings.trust:
            trust.publish(self._settings)

    def wait(self) -> int | None:
        """Block until it ends; return its exit code."""
        return self._child.wait() if self._child else None

    def stop(self) -> None:
        """Send SIGTERM, and SIGKILL after 10 s; open event streams end after the grace period."""
        if self._child:
            self._child.stop(timeout=STOP_S)

    def _addresses(self) -> list[tuple[str, int]]:
        page = self._settings.trust
        found = [(one.bind, one.port) for one in self._settings.listeners]
        return [*found, (page.bind, page.port)] if page else found

    def _ended(self) -> bool:
        return self._child is not None and self._child.poll() is not None

    def _failure(self) -> str:
        said = self._child.output().strip().splitlines() if self._child else []
        return f"Caddy does not listen after {START_S:.0f} s: {said[-1] if said else 'it said nothing'}"


def _listens(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(address) == 0
