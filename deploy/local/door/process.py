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
from deploy.local.door import authority, trust
from deploy.local.door.caddyfile import DoorSettings, Listener, TrustPage, render
from deploy.local.door.lan import host_names
from deploy.local.errors import StackError
from deploy.local.processes import child
from deploy.local.processes.managed import Managed

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
    return DoorSettings(upstreams, tuple(listeners), data / "door", trust=trust_page)


class Door(Managed):
    """The front door of a stack, restarted like every other process. Its folder is DATA/door."""

    def __init__(self, data: Path, settings: DoorSettings) -> None:
        super().__init__("door", data, grace=STOP_S, death=signal.SIGTERM)
        self._folder, self._settings = data / "door", settings
        self._folder.mkdir(exist_ok=True, mode=0o700)

    def start(self) -> None:
        """Return when the door answers everywhere. Raises StackError for a port in use and when Caddy ends instead."""
        self._prepare_authority()
        command = write_checked(self._settings, self._folder)
        if self._settings.trust:
            self._settings.trust.folder.mkdir(exist_ok=True, mode=0o700)
        for bind, port in self._addresses():
            # Caddy sets SO_REUSEPORT: a second one would share the connections of the first without an error.
            if not is_free(port, bind):
                raise StackError(f"port {port} of {bind} is in use by another program")
        caddy = self.launch(command, environment(self._folder))

        def ended() -> bool:
            return caddy.poll() is not None

        started = child.wait_until(lambda: ended() or self._answers(), START_S)
        if not started or ended():
            said = caddy.output().strip().splitlines()
            raise StackError(f"Caddy does not answer after {START_S:.0f} s: {said[-1] if said else 'it said nothing'}")
        if self._settings.trust:
            trust.publish(self._settings)

    def _prepare_authority(self) -> None:
        """Make the root certificate where a listener has TLS. Caddy's storage has nothing but what a root signed."""
        hosts = self._settings.certified_hosts
        if hosts and authority.ensure(self._settings.authority, hosts) and self._settings.storage.exists():
            shutil.rmtree(self._settings.storage)

    def _answers(self) -> bool:
        """Return whether each address accepts connections, and those with TLS have the certificate of every host: Caddy
        listens before it has made them.
        """
        return all(map(_listens, self._addresses())) and all(
            trust.is_certified(self._settings, listener.bind, listener.port, host)
            for listener in self._settings.listeners
            if listener.tls
            for host in listener.hosts
        )

    def _addresses(self) -> list[tuple[str, int]]:
        page = self._settings.trust
        found = [(one.bind, one.port) for one in self._settings.listeners]
        return [*found, (page.bind, page.port)] if page else found


def _listens(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(address) == 0
