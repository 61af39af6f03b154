"""The parameter types of the routes of access: the process, the client's address, the caller with a scope."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from contracts.scopes import Scope
from contracts.values import Principal
from services.access.commands.access import Access
from services.kit.http import client
from services.kit.http.dependencies import require, use_cases

Running = Annotated[Access, Depends(use_cases)]
"""The use cases of the running process."""


def address_of(request: Request) -> str:
    """Return the network address of the client."""
    return client.address_of(request.headers.get("forwarded", ""), request.client.host if request.client else "")


Address = Annotated[str, Depends(address_of)]
"""The client's network address, which failed attempts are counted for."""

Enroller = Annotated[Principal, Depends(require(Scope.DEVICE_ENROL))]
Manager = Annotated[Principal, Depends(require(Scope.PRINCIPAL_MANAGE))]
EnrollerOrManager = Annotated[Principal, Depends(require(Scope.DEVICE_ENROL, Scope.PRINCIPAL_MANAGE))]
Admin = Annotated[Principal, Depends(require(Scope.OPS_ADMIN))]
