"""The parameter types of the routes of access: the process, the client's address, the caller with a scope."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from fastapi import Depends, Request

from contracts.scopes import Scope
from contracts.values import Principal
from services.access.commands.access import Access
from services.kit.http.dependencies import require, use_cases

Running = Annotated[Access, Depends(use_cases)]
"""The use cases of the running process."""

_FOR = re.compile(r'for="(?:\[([0-9a-f:]+)\]|([0-9.]+))(?::[0-9]+)?"', re.I)
_V6_PREFIX = 64
"""Bits of an IPv6 address that one customer of a provider has for itself (RFC 6177)."""


def address_of(request: Request) -> str:
    """Return the network address of the client, of IPv6 its network of 64 bits: one client has all addresses there.

    Behind the door it is the one in `Forwarded` (RFC 7239), which the door replaces; no one else reaches a service.
    """
    found = _FOR.match(request.headers.get("forwarded", ""))
    host = (found[1] or found[2]) if found else request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((address, _V6_PREFIX), strict=False) if address.version == 6 else address)


Address = Annotated[str, Depends(address_of)]
"""The client's network address, which failed attempts are counted for."""

Enroller = Annotated[Principal, Depends(require(Scope.DEVICE_ENROL))]
Manager = Annotated[Principal, Depends(require(Scope.PRINCIPAL_MANAGE))]
EnrollerOrManager = Annotated[Principal, Depends(require(Scope.DEVICE_ENROL, Scope.PRINCIPAL_MANAGE))]
Admin = Annotated[Principal, Depends(require(Scope.OPS_ADMIN))]
