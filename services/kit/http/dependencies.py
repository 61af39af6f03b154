"""Parameter types of routes: the running process, the caller's role, the idempotency key, limits and cursors."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request
from fastapi.security import HTTPBearer
from fastapi.security.base import SecurityBase

from services.kit.context import Context
from services.kit.http import problems

_bearer = HTTPBearer(auto_error=False, description="One token per role")

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

    def __init__(self, roles: Sequence[str]) -> None:
        self.model, self.scheme_name = _bearer.model, _bearer.scheme_name
        self._roles = roles

    async def __call__(self, request: Request) -> str:
        """Return the role of the caller."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise problems.unauthorized("Send a bearer token in the Authorization header")
        role = _role(context_of(request).settings.tokens, token)
        if role is None:
            raise problems.unauthorized("Unknown bearer token")
        if role not in self._roles:
            raise problems.forbidden(f"This needs the role {' or '.join(self._roles)}, the token has {role}")
        return role


def require(*roles: str) -> Caller:
    """Return a dependency, used as `Depends(require("operator", "buyer"))`: the caller's role, which is one of `roles`.

    401 without a known bearer token, 403 with one of another role. Tokens are compared as digests, in constant time.
    """
    return Caller(roles)


def _role(tokens: dict[str, str], token: str) -> str | None:
    digest = hashlib.sha256(token.encode()).hexdigest()
    found = [role for role, known in tokens.items() if hmac.compare_digest(known, digest)]
    return found[0] if found else None
