"""Ports that stay the same for a data folder."""

import json
import random
import socket
from pathlib import Path

from deploy.local.data.files import write_private
from deploy.local.errors import StackError

# Below the range from which Linux takes the ports of outgoing connections: a client that retries a dead
# server inside that range can connect to itself, and then the server can't have its port back.
LOWEST, HIGHEST = 15_000, 32_000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a server can listen on this port of an own IPv4 address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


class Ports:
    """Maps names to port numbers, saved in `ports.json` of a data folder.

    Without `base`, a number is random, and kept if it is free when this process first requests the name. With `base`,
    names get base, base + 1, ... in the order of their requests.
    """

    def __init__(self, data: Path, base: int | None = None) -> None:
        self._file = data / "ports.json"
        self._base = base
        self._given: dict[str, int] = {}
        self._kept: dict[str, int] = json.loads(self._file.read_text()) if self._file.exists() else {}

    def get(self, name: str, host: str = "127.0.0.1") -> int:
        """Return the port of `name` on an own IPv4 address, the same on every call. Raises StackError if a port counted
        from `base` is in use.
        """
        if name not in self._given:
            self._given[name] = self._counted(host) if self._base is not None else self._picked(name, host)
            self._kept[name] = self._given[name]
            write_private(self._file, json.dumps(self._kept, indent=1))
        return self._given[name]

    def _counted(self, host: str) -> int:
        port = (self._base or 0) + len(self._given)
        if not 0 < port < 65_536:
            raise StackError(f"invalid port {port}; choose a smaller --port-base")
        if not is_free(port, host):
            raise StackError(f"port {port} is in use; choose another --port-base")
        return port

    def _picked(self, name: str, host: str) -> int:
        taken = set(self._given.values()) | {port for key, port in self._kept.items() if key != name}
        kept = self._kept.get(name)
        if kept and kept not in self._given.values() and is_free(kept, host):
            return kept
        for _ in range(1000):
            port = random.randrange(LOWEST, HIGHEST)
            if port not in taken and is_free(port, host):
                return port
        raise StackError(f"no free port between {LOWEST} and {HIGHEST}")
