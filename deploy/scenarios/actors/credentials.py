"""A device's credential: its key, its enrolment at access, and the access tokens that it gets with the key."""

from __future__ import annotations

import asyncio
import hashlib
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import ECKey

from contracts.uploads import digest_of
from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import Answer, Client, Refused, Request, Role, call

TRIES = 3
"""After a lost answer a code or an assertion is used up, and the device begins again."""
ASSERTION_S, RENEWED_S = 50, 60
"""Seconds: the life of an assertion, and how long before its end a token is renewed."""
UNKNOWN_S = 30.0
"""Seconds for which a service may not have heard of access's signing key yet."""


@dataclass(eq=False)
class DeviceCredential:
    """The credential of a terminal's or courier's device. `places` are its `sites` or `stations`, `head` the last link
    of the chain of its records.
    """

    client: Client
    kind: Role
    id: str
    places: Mapping[str, list[str]]
    _key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"))
    head: str = ""
    _token: str = ""
    _renew_at: float = 0.0

    @property
    def subject(self) -> str:
        """The subject of its tokens."""
        return f"{self.kind}.{self.id}"

    @property
    def device(self) -> str:
        """The name of the device in its records: another one for each key."""
        return f"device-{hashlib.sha256(self._key.thumbprint().encode()).hexdigest()[:16]}"

    async def enrol(self) -> None:
        """Enrol with a code that the operator makes; a device that was enrolled before is retired. Raises `Refused`."""
        for attempt in range(1, TRIES + 1):
            self._key = ECKey.generate_key("P-256")
            self.head = self._key.thumbprint()
            made = await call(self.client, requests.enrolment(self.kind, self.id, self.places))
            code = made["code"].replace("-", "")
            public = {name: str(value) for name, value in self._key.as_dict(private=False).items()}
            jwk = {name: public[name] for name in ("kty", "crv", "x", "y")}
            proof = self.sign(f"halfday:enrol:{code}:{self._key.thumbprint()}".encode())
            try:
                await call(self.client, requests.enrol(self.kind, code, jwk, proof))
                return
            except Refused as refusal:
                if refusal.status != 401 or attempt == TRIES:
                    raise

    async def token(self) -> str:
        """Return an access token that holds for another minute. Raises `Refused`."""
        if time.monotonic() < self._renew_at:
            return self._token
        for attempt in range(1, TRIES + 1):
            try:
                answer = await call(self.client, requests.token(self.kind, self._assertion()))
                break
            except Refused as refusal:
                if refusal.status != 401 or attempt == TRIES:
                    raise
        self._token, self._renew_at = answer["access_token"], time.monotonic() + answer["expires_in"] - RENEWED_S
        return self._token

    def _assertion(self) -> str:
        """Return a JWT of the key (RFC 7523)."""
        claims = {"iss": self.subject, "sub": self.subject, "aud": "halfday", "jti": str(uuid4())}
        header = {"alg": "ES256", "kid": self._key.thumbprint()}
        return jwt.encode(header, claims | {"exp": int(time.time()) + ASSERTION_S}, self._key)

    def prove(self, token: str, method: str, address: str) -> str:
        """Return a proof of possession for one request with a token (RFC 9449)."""
        claims = {"jti": str(uuid4()), "htm": method, "htu": address, "iat": int(time.time())}
        public = self._key.as_dict(private=False)
        header = {"alg": "ES256", "typ": "dpop+jwt", "jwk": {name: public[name] for name in ("kty", "crv", "x", "y")}}
        return jwt.encode(header, claims | {"ath": digest_of(token.encode())}, self._key)

    def sign(self, content: bytes) -> str:
        """Return the signature as WebCrypto makes it: r and s, base64url."""
        private: Any = self._key.private_key
        r, s = decode_dss_signature(private.sign(content, ec.ECDSA(SHA256())))
        return urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class DeviceClient:
    """Sends the requests of a device's role with its access token, and all others as they are."""

    inner: Client
    credential: DeviceCredential

    async def send(self, request: Request) -> Answer:
        """Return the answer to a request."""
        if request.role != self.credential.kind:
            return await self.inner.send(request)
        give_up = time.monotonic() + UNKNOWN_S
        while True:
            token = await self.credential.token()
            prove = partial(self.credential.prove, token)
            answer = await self.inner.send(replace(request, token=token, prove=prove))
            if answer.status != 401 or time.monotonic() > give_up:
                return answer
            await asyncio.sleep(0.1)
