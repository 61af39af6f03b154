"""Finds the principal of a request in its headers, before any of its body is read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

from contracts.scopes import LOCAL
from contracts.values import LOCAL_KIND, MAIN_TENANT, Principal
from services.kit.http import client, problems
from services.kit.http.problems import Problem
from services.kit.identity.possession import Call, InvalidProof, Proofs
from services.kit.identity.tokens import InvalidToken

CAPABILITY_SCHEME = {
    "Capability": {"type": "http", "scheme": "capability", "description": "The capability of the object in the path"}
}
HOLDER: dict[str, Any] = {"security": [{"Capability": []}]}
"""`openapi_extra` of a route that a capability opens too."""
VISITOR: dict[str, Any] = {"security": [{}]}
"""`openapi_extra` of a route that needs no credential."""


class Verifier(Protocol):
    """Verifies access tokens."""

    def verify(self, token: str) -> Principal:
        """Return the principal of a token. Raises `InvalidToken`."""


class Capabilities(Protocol):
    """The callers without an account, of a service that has any. No I/O."""

    def visitor(self, method: str, path: str, address: str) -> Principal | None:
        """Return the caller without a credential of a route that needs none; None for all other routes."""

    def holder(self, path: str, secret: str) -> Principal | None:
        """Return the holder of the capability of the object that a path names; None for another secret."""


class Authentication:
    """Knows the local tokens by their SHA-256 (hex), access tokens by their signature, and the service's own callers
    without an account. No I/O.
    """

    def __init__(
        self, local: Mapping[str, str], tokens: Verifier, proofs: Proofs, capabilities: Capabilities | None = None
    ) -> None:
        self._tokens, self._proofs, self._capabilities = tokens, proofs, capabilities
        self._local = {
            digest: Principal(f"{LOCAL_KIND}.{role}", LOCAL_KIND, frozenset(LOCAL[role]))
            for role, digest in local.items()
        }

    def principal(self, headers: Mapping[bytes, bytes], method: str, path: str, peer: str = "") -> Principal:
        """Return the caller. Raises a 401 `Problem` without a credential, or for one that is not accepted. `peer` is
        the address of the other end of the connection.

        A local token counts only on a direct call: whatever came through the front door carries `Forwarded` (RFC 7239).
        A token that is bound to a key counts only with a proof of possession for this request (RFC 9449), on every
        route.
        """
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        scheme = scheme.lower()
        if self._capabilities is not None and (not scheme or scheme == "capability"):
            forwarded = headers.get(b"forwarded", b"").decode("latin-1")
            address = client.address_of(forwarded, peer)
            return _without_account(self._capabilities, scheme, token, method, path, address)
        if scheme not in {"bearer", "dpop"} or not token:
            raise problems.unauthorized("Send a bearer token in the Authorization header")
        local = self._local.get(hashlib.sha256(token.encode()).hexdigest())
        if local is not None:
            if b"forwarded" in headers:
                raise _invalid("A local token is for direct calls on this machine, not through the front door")
            return local
        try:
            principal = self._tokens.verify(token)
        except InvalidToken as reason:
            raise _invalid(str(reason)) from None
        if principal.tenant != MAIN_TENANT:  # no query asks for a row's tenant yet, so there is one only
            raise _invalid("The token is of another tenant than this installation")
        if principal.key is None and scheme == "dpop":
            raise _invalid("The token is bound to no key: send it as a bearer token")
        if principal.key is not None:
            call = Call(method, headers.get(b"host", b"").decode("latin-1"), path)
            self._prove(scheme, token, headers.get(b"dpop", b"").decode("latin-1"), principal.key, call)
        return principal

    def _prove(self, scheme: str, token: str, proof: str, key: str, call: Call) -> None:
        if scheme != "dpop":
            raise _unproven("The token is bound to a key: send it as Authorization: DPoP TOKEN (RFC 9449)")
        try:
            self._proofs.check(proof, token, key, call)
        except InvalidProof as reason:
            raise _unproven(str(reason)) from None


def _without_account(
    capabilities: Capabilities, scheme: str, secret: str, method: str, path: str, address: str
) -> Principal:
    found = capabilities.holder(path, secret) if scheme else capabilities.visitor(method, path, address)
    if found is None:
        problem = problems.unauthorized("Send a bearer token in the Authorization header")
        if scheme:
            problem = problems.unauthorized("The capability is not the one of the object in the path")
            problem.headers["WWW-Authenticate"] = "Capability"
        raise problem
    return found


def _invalid(detail: str) -> Problem:
    """Return the 401 of a token that is not accepted (RFC 6750, section 3.1)."""
    problem = problems.unauthorized(detail)
    problem.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return problem


def _unproven(detail: str) -> Problem:
    """Return the 401 of a request without a proof for the key of its token (RFC 9449, section 7.1)."""
    problem = problems.unauthorized(detail)
    problem.headers["WWW-Authenticate"] = 'DPoP error="invalid_dpop_proof", algs="ES256"'
    return problem
