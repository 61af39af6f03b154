"""Finds the principal of a request in its headers, before any of its body is read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Protocol

from contracts.scopes import LOCAL
from contracts.values import LOCAL_KIND, MAIN_TENANT, Principal
from services.kit.http import problems
from services.kit.http.problems import Problem
from services.kit.identity.possession import Call, InvalidProof, Proofs
from services.kit.identity.tokens import InvalidToken


class Verifier(Protocol):
    """Verifies access tokens."""

    def verify(self, token: str) -> Principal:
        """Return the principal of a token. Raises `InvalidToken`."""


class Authentication:
    """Knows the local tokens by their SHA-256 (hex), and access tokens by their signature. No I/O."""

    def __init__(self, local: Mapping[str, str], tokens: Verifier, proofs: Proofs) -> None:
        self._tokens, self._proofs = tokens, proofs
        self._local = {
            digest: Principal(f"{LOCAL_KIND}.{role}", LOCAL_KIND, frozenset(LOCAL[role]))
            for role, digest in local.items()
        }

    def principal(self, headers: Mapping[bytes, bytes], method: str, path: str) -> Principal:
        """Return the caller. Raises a 401 `Problem` without a token, or for one that is not accepted.

        A local token counts only on a direct call: whatever came through the front door carries `Forwarded` (RFC 7239).
        A token that is bound to a key counts only with a proof of possession for this request (RFC 9449), on every
        route.
        """
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        scheme = scheme.lower()
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
        if principal.tenant != MAIN_TENANT:  # no row names a tenant yet, so there is one only
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
