"""The parameter types of the routes of access: the process, the caller's address, and the principal with a scope."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from fastapi.security.base import SecurityBase

from contracts.scopes import Scope
from contracts.values import Principal
from services.access.commands.access import Access
from services.access.commands.signing import principal_of
from services.kit.http import problems
from services.kit.http.dependencies import context_of, use_cases

Running = Annotated[Access, Depends(use_cases)]
"""The use cases of the running process."""

_bearer = HTTPBearer(auto_error=False, description="An access token of staff")
LOCAL = Principal(subject="local.operator", kind="local", scopes=frozenset(map(str, Scope)))
"""The principal of the operator's token of a local stack: how the first member of staff is invited."""


def address_of(request: Request) -> str:
    """Return the network address of the client; uvicorn takes it from the door's header where it trusts the door."""
    return request.client.host if request.client else "unknown"


Address = Annotated[str, Depends(address_of)]
"""The client's network address, which failed attempts are counted for."""


class Caller(SecurityBase):
    """The dependency that `with_scope` makes."""

    def __init__(self, *scopes: Scope) -> None:
        self.model, self.scheme_name = _bearer.model, _bearer.scheme_name
        self._scopes = scopes

    async def __call__(self, request: Request) -> Principal:
        """Return the principal of the caller."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise problems.unauthorized("Send an access token in the Authorization header")
        principal = _local(request, token)
        if principal is None:
            access: Access = use_cases(request)
            principal = await principal_of(access, access.context.store, token)
        if principal is None:
            raise problems.unauthorized("The access token is unknown, expired or revoked")
        if not any(map(principal.may, self._scopes)):
            raise problems.out_of_scope(self._scopes)
        return principal


def with_scope(*scopes: Scope) -> Caller:
    """Return a dependency, used as `Depends(with_scope(Scope.OPS_ADMIN))`: the principal, which has one of the scopes.

    401 without a valid token, 403 without the scope.
    """
    return Caller(*scopes)


def _local(request: Request, token: str) -> Principal | None:
    """Return the local operator for its token, on a request that did not come through the door."""
    known = context_of(request).settings.tokens.get("operator")
    if known is None or "forwarded" in request.headers:
        return None
    return LOCAL if hmac.compare_digest(known, hashlib.sha256(token.encode()).hexdigest()) else None


Enroller = Annotated[Principal, Depends(with_scope(Scope.DEVICE_ENROL))]
Manager = Annotated[Principal, Depends(with_scope(Scope.PRINCIPAL_MANAGE))]
EnrollerOrManager = Annotated[Principal, Depends(with_scope(Scope.DEVICE_ENROL, Scope.PRINCIPAL_MANAGE))]
Admin = Annotated[Principal, Depends(with_scope(Scope.OPS_ADMIN))]
