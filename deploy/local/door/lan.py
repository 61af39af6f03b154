"""The address of this machine on the local network."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address

import psutil

from deploy.local.errors import StackError

_ELSEWHERE = ("192.0.2.1", 9)
"""An address of RFC 5737: connecting a datagram socket to it sends nothing, and shows which own address would."""


def find_address() -> str:
    """Return the private IPv4 address from which this machine reaches its network. Raises StackError without one."""
    own = addresses()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
            chosen = str(probe.getsockname()[0])
        except OSError:
            chosen = ""
    if chosen in own:
        return chosen
    if len(own) == 1:
        return own[0]
    if own:
        raise StackError(f"this machine has several addresses; choose one with --lan-address: {', '.join(own)}")
    raise StackError("this machine has no private IPv4 address; join a local network, then start again")


def check_address(address: str) -> str:
    """Return `address` if this machine has it. Raises StackError with those that it has otherwise."""
    if address not in addresses():
        raise StackError(
            f"{address} is no private IPv4 address of this machine; it has: {', '.join(addresses()) or 'none'}"
        )
    return address


def addresses() -> list[str]:
    """Return the private IPv4 addresses of this machine, without loopback and self-assigned ones."""
    found = [
        entry.address
        for name, entries in psutil.net_if_addrs().items()
        for entry in entries
        if entry.family == socket.AF_INET and (stats := psutil.net_if_stats().get(name)) is not None and stats.isup
    ]
    return sorted({one for one in found if _is_private(IPv4Address(one))}, key=IPv4Address)


def host_names(address: str) -> tuple[str, ...]:
    """Return the names under which the network may reach this machine: the address, and its name in multicast DNS."""
    name = socket.gethostname().partition(".")[0].lower()
    usable = name.replace("-", "").isalnum() and name.isascii() and name != "localhost"
    return (address, f"{name}.local") if usable else (address,)


def _is_private(address: IPv4Address) -> bool:
    return address.is_private and not address.is_loopback and not address.is_link_local
