"""The access service on a real database, its HTTP app in-process, and the devices, phones and staff that call it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import orjson
import pyotp
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jwt
from joserfc.jwk import ECKey

from contracts.registry import decode
from services.access.app import SERVICE
from services.access.commands.access import Access
from services.access.commands.signing import keep_keys
from services.access.vault import Vault
from services.kit.clock import ManualClock
from services.kit.context import Context
from services.kit.database import connect_pool
from services.kit.identity.directory import Directory
from services.kit.process.api import create_api
from services.kit.transaction.ports import Ports
from tests.stack import TestStack

NOON = datetime.fromisoformat("2026-11-07T12:00:00+08:00")
OPERATOR = {"Authorization": "Bearer operator-token"}
PASSWORD = "correct horse battery staple"


@dataclass
class Sms:
    """A provider of messages. `faults` says for each message in turn what happens to it: delivered when empty."""

    faults: list[str] = field(default_factory=list)
    delivered: list[tuple[str, str]] = field(default_factory=list)
    late: list[tuple[str, str]] = field(default_factory=list)

    async def send(self, phone: str, code: str, at: datetime) -> None:
        """Deliver the message, twice, later, never, or fail."""
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "fails":
            raise ConnectionError("the provider is away")
        if fault == "late":
            self.late.append((phone, code))
        elif fault != "lost":
            self.delivered += [(phone, code)] * (2 if fault == "twice" else 1)

    def arrive(self) -> None:
        """Deliver the late messages."""
        self.delivered += self.late
        self.late = []

    def code(self) -> str:
        """The newest code that arrived."""
        return self.delivered[-1][1]


def url64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@dataclass
class Device:
    """A device with a key in WebCrypto's form: raw signatures in base64url."""

    subject: str = ""
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def jwk(self) -> dict[str, str]:
        numbers = self.key.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": url64(numbers.x.to_bytes(32)), "y": url64(numbers.y.to_bytes(32))}

    @property
    def thumbprint(self) -> str:
        """As RFC 7638 says, without the product's code."""
        text = orjson.dumps(self.jwk, option=orjson.OPT_SORT_KEYS)
        return url64(hashlib.sha256(text).digest())

    def sign(self, text: str) -> str:
        r, s = decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return url64(r.to_bytes(32) + s.to_bytes(32))

    def enrolment(self, code: str) -> dict[str, Any]:
        plain = code.replace("-", "")
        return {"code": code, "key": self.jwk, "proof": self.sign(f"halfday:enrol:{plain}:{self.thumbprint}")}

    def assertion(self, now: datetime, **claims: Any) -> str:
        exp = int((now + timedelta(seconds=50)).timestamp())
        given = {"iss": self.subject, "sub": self.subject, "aud": "halfday", "exp": exp, "jti": str(uuid4())}
        return self.signed(given | claims)

    def signed(self, claims: dict[str, Any], **header: Any) -> str:
        key = ECKey.import_key(self.key)
        return jwt.encode({"alg": "ES256", "kid": self.thumbprint} | header, claims, key, algorithms=["ES256"])

    def login(self, token: str, method: str, address: str, now: datetime) -> dict[str, str]:
        """The headers of a request with a token that is bound to the key (RFC 9449)."""
        claims = {"jti": str(uuid4()), "htm": method, "htu": address, "iat": int(now.timestamp())}
        ath = url64(hashlib.sha256(token.encode()).digest())
        proof = self.signed(claims | {"ath": ath}, typ="dpop+jwt", jwk=self.jwk)
        return {"Authorization": f"DPoP {token}", "DPoP": proof}


@dataclass
class World:
    """The service under test. Answers are those of a client at `address`."""

    access: Access
    clock: ManualClock
    sms: Sms
    client_at: Callable[[str], httpx2.AsyncClient]
    address: str = "203.0.113.7"

    def at(self, address: str) -> World:
        """The same service for a client at another address."""
        return replace(self, address=address)

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        async with self.client_at(self.address) as client:
            return await client.request(method, path, json=body, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        return await self.call("POST", path, body, **more)

    async def manage(self, path: str, body: Any = None, method: str = "POST") -> Any:
        """The content of a good answer to the local operator."""
        answer = await self.call(method, path, body, headers=OPERATOR)
        assert answer.is_success, answer.text
        return answer.json()

    async def code(self, id: str = "S1", kind: str = "terminal", **more: Any) -> str:
        return str((await self.manage("/v1/enrolments", {"kind": kind, "id": id} | more))["code"])

    async def device(self, id: str = "S1", kind: str = "terminal", **more: Any) -> Device:
        """An enrolled device."""
        device = Device(f"{kind}.{id}")
        answer = await self.post("/v1/devices", device.enrolment(await self.code(id, kind, **more)))
        assert answer.status_code == 201, answer.text
        assert answer.json()["thumbprint"] == device.thumbprint
        return device

    async def token(self, assertion: str, **more: str) -> httpx2.Response:
        grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        return await self.post("/v1/token", {"grant_type": grant, "assertion": assertion, **more})

    async def refresh(self, token: str) -> httpx2.Response:
        return await self.post("/v1/token", {"grant_type": "refresh_token", "refresh_token": token})

    async def otp(self, phone: str) -> str:
        """Ask for a code, and return the newest that arrived."""
        answer = await self.post("/v1/otp", {"phone": phone})
        assert answer.status_code == 202, answer.text
        await self.delivered()
        return self.sms.code()

    async def delivered(self) -> None:
        """Return when no message is on its way to the provider."""
        while self.access._sending:
            await next(iter(self.access._sending))

    async def resident(self, phone: str = "13812345678") -> dict[str, Any]:
        """The tokens of a new resident."""
        answer = await self.post("/v1/otp:verify", {"phone": phone, "code": await self.otp(phone)})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def invitation(self, kind: str, **more: Any) -> str:
        link = (await self.manage("/v1/invitations", {"kind": kind} | more))["link"]
        return str(link.partition("#")[2])

    async def staff(self, login: str, role: str = "admin", **more: Any) -> pyotp.TOTP:
        """A member of staff with the usual password; returns the authenticator."""
        secret = await self.invitation("staff", role=role, **more)
        opened = (await self.post("/v1/invitations:open", {"secret": secret})).json()
        totp = pyotp.TOTP(opened["totp_secret"])
        body = {"secret": secret, "login": login, "password": PASSWORD, "totp": totp.at(self.clock.real())}
        answer = await self.post("/v1/invitations:accept", body)
        assert answer.status_code == 201, answer.text
        return totp

    async def login(
        self, login: str, totp: pyotp.TOTP, password: str = PASSWORD, *, code: str | None = None
    ) -> httpx2.Response:
        """Log in with the current code of the authenticator, or another one."""
        body = {"login": login, "password": password, "totp": code or totp.at(self.clock.real())}
        return await self.post("/v1/login", body)

    async def staff_token(self, login: str, totp: pyotp.TOTP) -> dict[str, str]:
        """Headers with the access token of a member of staff, one time step later."""
        self.pass_time(30)
        answer = await self.login(login, totp)
        assert answer.status_code == 200, answer.text
        cookie = answer.headers["set-cookie"].partition(";")[0]
        found = await self.post("/v1/token", {"grant_type": "session"}, headers={"Cookie": cookie})
        assert found.status_code == 200, found.text
        return {"Authorization": f"Bearer {found.json()['access_token']}"}

    async def published(self) -> list[Any]:
        """The events in the outbox, in order."""
        rows = await self.access.context.pool.fetch("select headers, payload from outbox order by id")
        return [decode(orjson.loads(row["headers"])["ce_type"], row["payload"]) for row in rows]

    async def state(self, subject: str) -> Any:
        """The newest published state of a subject."""
        return [event for event in await self.published() if event.id == subject][-1]

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))


@asynccontextmanager
async def open_world(stack: TestStack) -> AsyncIterator[World]:
    """The service on a fresh database, with its first signing keys."""
    tokens = {"operator": hashlib.sha256(b"operator-token").hexdigest()}
    settings = stack.settings("access", await stack.database("access"), "", tokens=tokens)
    pool = await connect_pool(settings)
    clock, sms = ManualClock(NOON), Sms()
    context = Context(settings, Ports(clock, SERVICE.store), pool, lambda: None, SERVICE.name)
    directory = Directory()
    access = Access(context, Vault(b"p" * 32, b"k" * 32), sms, "https://halfday.lan")
    app = create_api(replace(SERVICE, use_cases=lambda _: access), context, directory)

    def client_at(address: str) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app=app, client=(address, 50000))
        return httpx2.AsyncClient(transport=transport, base_url="https://halfday.lan")

    try:
        await keep_keys(access)
        await directory.refresh(pool)
        following = asyncio.create_task(directory.follow(settings))
        yield World(access, clock, sms, client_at)
        following.cancel()
    finally:
        pool.terminate()
