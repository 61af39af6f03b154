"""The network address of a client, which limits are counted for."""

from __future__ import annotations

import ipaddress
import re

_FOR = re.compile(r'for="(?:\[([0-9a-f:]+)\]|([0-9.]+))(?::[0-9]+)?"', re.I)
_V6_PREFIX = 64
"""Bits of an IPv6 address that one customer of a provider has for itself (RFC 6177)."""


def address_of(forwarded: str, peer: str) -> str:
    """Return the network address of a client, of IPv6 its network of 64 bits: one client has all addresses there.

    Behind the door it is the one in `forwarded`, the header of RFC 7239, which the door replaces; no one else reaches a
    service. `peer` is the other end of the connection.
    """
    found = _FOR.match(forwarded)
    try:
        address = ipaddress.ip_address((found[1] or found[2]) if found else peer)
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((address, _V6_PREFIX), strict=False) if address.version == 6 else address)
