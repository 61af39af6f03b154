"""The parameter types of the routes of access: the process, the caller's address, and the principal with a scope."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from fastapi.security.base import SecurityBase

from contracts.scopes import Scope
from contracts.values import Principal
from services.access.commands.access import Access
from services.access.commands.signing import principal_of
from services.kit.http import problems
from services.kit.http.dependencies import use_cases

Running = Annotated[Access, Depends(use_cases)]
"""The use cases of the running process."""

_bearer = HTTPBearer(auto_error=False, description="An access token of staff")

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


class Caller(SecurityBase):
    """The dependency that `with_scope` makes."""

    def __init__(self, *scopes: Scope) -> None:
        self.model, self.scheme_name = _bearer.model, _bearer.scheme_name
        self._scopes = scopes

    async def __call__(self, request: Request) -> Principal:
        """Return the principal of the caller."""
        principal: Principal | None = request.scope.get("principal")  # the kit knows the local tokens
        if principal is None:
            principal = await _by_token(request)
        if not any(map(principal.may, self._scopes)):
            raise problems.out_of_scope(self._scopes)
        return principal


async def _by_token(request: Request) -> Principal:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise problems.unauthorized("Send an access token in the Authorization header")
    access: Access = use_cases(request)
    principal = await principal_of(access, access.context.store, token)
    if principal is None:
        raise problems.unauthorized("The access token is unknown, expired or revoked")
    return principal


def with_scope(*scopes: Scope) -> Caller:
    """Return a dependency, used as `Depends(with_scope(Scope.OPS_ADMIN))`: the principal, which has one of the scopes.

    401 without a valid token, 403 without the scope.
    """
    return Caller(*scopes)


Enroller = Annotated[Principal, Depends(with_scope(Scope.DEVICE_ENROL))]
Manager = Annotated[Principal, Depends(with_scope(Scope.PRINCIPAL_MANAGE))]
EnrollerOrManager = Annotated[Principal, Depends(with_scope(Scope.DEVICE_ENROL, Scope.PRINCIPAL_MANAGE))]
Admin = Annotated[Principal, Depends(with_scope(Scope.OPS_ADMIN))]
