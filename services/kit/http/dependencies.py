"""Parameter types of routes: the running process, the caller, the idempotency key, limits and cursors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request
from fastapi.security import HTTPBearer
from fastapi.security.base import SecurityBase

from contracts.scopes import Scope
from contracts.values import Principal
from services.kit.context import Context
from services.kit.http import problems

_bearer = HTTPBearer(auto_error=False, description="An access token, or a local token")

IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=128)]
"""The header of every unsafe request that creates something; give it the default None."""

Limit = Annotated[int, Query(ge=1, le=500)]
"""The largest number of entries of a page."""
Cursor = Annotated[int, Query(ge=0, lt=2**63)]
"""The cursor of a list in order of a number: the last number of the page before."""
After = Annotated[str, Query(max_length=64, pattern=r"^[A-Za-z0-9._~-]*$")]
"""The cursor of a list in order of a readable id: the last id of the page before."""


def context_of(request: Request) -> Context:
    """Return the context of the app that serves the request."""
    context: Context = request.app.state.context
    return context


Running = Annotated[Context, Depends(context_of)]
"""The running process."""


def use_cases(request: Request) -> Any:
    """Return the object that `Service.use_cases` made for this process; a service gives it a type of its own:
    `Orders = Annotated[UseCases, Depends(use_cases)]`.
    """
    return request.app.state.use_cases


class Caller(SecurityBase):
    """The dependency that `require` makes. One level deep: FastAPI spends more on each level than we do in it."""

    def __init__(self, scopes: Sequence[Scope]) -> None:
        self.model, self.scheme_name = _bearer.model, _bearer.scheme_name
        self._scopes = scopes

    async def __call__(self, request: Request) -> Principal:
        """Return the caller that the middleware has found."""
        principal: Principal | None = request.scope.get("principal")
        if principal is None:
            raise problems.unauthorized("Send a bearer token in the Authorization header")
        if self._scopes and not any(principal.may(scope) for scope in self._scopes):
            raise problems.out_of_scope(self._scopes)
        return principal


def require(*scopes: Scope) -> Caller:
    """Return a dependency, used as `Depends(require(Scope.ORDER_WRITE))`: the caller, who has one of the scopes; any
    caller where none is named. 403 without.
    """
    return Caller(scopes)
