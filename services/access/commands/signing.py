"""Signing keys: made, rotated and retired; and access tokens, signed with them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from joserfc import jwt
from joserfc.jwk import ECKey

from contracts.events.access import KeyStatus
from services.access.commands.access import Access
from services.access.commands.publish import save_signing_keys
from services.access.domain import signing_key
from services.access.domain.account import Account
from services.access.domain.signing_key import TOKEN_LIFE, SigningKey
from services.access.repository.store import AccessStore
from services.kit.http import problems
from services.kit.identity.tokens import AUDIENCE, ISSUER, TYPE

ALGORITHMS = ["ES256"]


@dataclass(frozen=True, slots=True)
class Issued:
    """An access token, and the scopes in it; `expires_in` is in seconds. One that is bound to a key is of the type
    DPoP (RFC 9449, 5).
    """

    token: str
    expires_in: int
    scope: str
    token_type: Literal["Bearer", "DPoP"]


async def keep_keys(access: Access, *, force: bool = False) -> bool:
    """Make missing signing keys, rotate after 30 days or with `force`, retire previous ones in the end.

    Return whether anything changed. Safe from several processes at once.
    """
    async with access.context.unit() as uow:
        store: AccessStore = uow.store
        keys, now = await store.lock_token_keys(), access.now
        changed = signing_key.ended(keys, now)
        missing = signing_key.missing(keys)
        changed += [_new_key(access, status, now) for status in missing]
        if not missing and (force or signing_key.is_due(keys, now)):
            changed += signing_key.rotate(keys, _new_key(access, KeyStatus.NEXT, now), now)
        await save_signing_keys(uow, changed)
        return bool(changed)


def _new_key(access: Access, status: KeyStatus, now: datetime) -> SigningKey:
    key = ECKey.generate_key("P-256")
    public = key.as_dict(private=False)
    x, y = str(public["x"]), str(public["y"])
    kid = str(access.context.ports.new_id())
    sealed = access.vault.seal(f"signing-key/{kid}", key.as_pem(private=True))
    return SigningKey(kid=kid, x=x, y=y, sealed=sealed, status=status, changed_at=now)


async def issue(
    access: Access,
    store: AccessStore,
    account: Account,
    device: str | None = None,
    scopes: Collection[str] | None = None,
) -> Issued:
    """Return a new access token (RFC 9068) for an account, with these scopes, else all of its own; `device` is the
    thumbprint of the key that it is bound to.

    Raises a 503 problem while there is no signing key.
    """
    key = signing_key.current_of(await store.read_token_keys())
    if key is None:
        raise problems.unavailable(detail="There is no signing key yet; try again in a second")
    private = ECKey.import_key(access.vault.open(f"signing-key/{key.kid}", key.sealed))
    issued, scope = int(access.now.timestamp()), " ".join(sorted(scopes or account.scopes))
    seconds = int(TOKEN_LIFE.total_seconds())
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": account.subject,
        "client_id": account.kind,
        "kind": account.kind,
        "tenant": account.tenant,
        "scope": scope,
        "bounds": account.bounds.plain(),
        "iat": issued,
        "exp": issued + seconds,
        "jti": str(access.context.ports.new_id()),
    }
    if device:
        claims["cnf"] = {"jkt": device}
    header = {"alg": ALGORITHMS[0], "typ": TYPE, "kid": key.kid}
    token = jwt.encode(header, claims, private, algorithms=ALGORITHMS)
    return Issued(token, seconds, scope, "DPoP" if device else "Bearer")


def jwks(keys: Collection[SigningKey]) -> list[dict[str, str]]:
    """Return the published keys as JSON Web Keys (RFC 7517)."""
    return [
        {"kty": "EC", "crv": "P-256", "x": key.x, "y": key.y, "kid": key.kid, "use": "sig", "alg": ALGORITHMS[0]}
        for key in keys
        if key.is_published
    ]
