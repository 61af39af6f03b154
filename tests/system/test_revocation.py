"""A revocation in a real stack: every service refuses the revoked caller within 5 s, also while orders pour in."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pyotp
import pytest

from contracts.topics import DEPLOYED
from deploy.local.stack import Stack
from tests.bench import client, market
from tests.integration.access_world import PASSWORD
from tests.stack import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
SEEN_S = 5.0
CONNECTIONS = 32
WARM_ORDERS = 500


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The endpoints of a stack with the real services."""
    data: Path = tmp_path_factory.mktemp("revocation")
    with Stack(data) as stack:
        stack.wait_ready(120)
        yield stack.endpoints()


@dataclass
class Market:
    """The services of the stack, called directly."""

    http: httpx2.AsyncClient
    urls: dict[str, str]
    tokens: dict[str, str]

    async def ask(self, service: str, method: str, path: str, token: str = "", **more: Any) -> httpx2.Response:
        """Return the answer to a request with this token, by default the operator's."""
        headers = {"Authorization": f"Bearer {token or self.tokens['operator']}", **more.pop("headers", {})}
        return await self.http.request(method, f"{self.urls[service]}{path}", headers=headers, **more)

    async def admin(self, login: str) -> tuple[str, str]:
        """Return subject and access token of a new admin, when every service accepts it."""
        invited = {"kind": "staff", "role": "admin"}
        secret = (await self._access("/v1/invitations", json=invited))["link"].partition("#")[2]
        totp = pyotp.TOTP((await self._access("/v1/invitations:open", json={"secret": secret}))["totp_secret"])
        now = datetime.now(UTC)
        body = {"login": login, "password": PASSWORD}
        accepted = body | {"secret": secret, "totp": totp.at(now - timedelta(seconds=30))}
        subject = (await self._access("/v1/invitations:accept", json=accepted))["subject"]
        logged_in = await self.ask("access", "POST", "/v1/login", json=body | {"totp": totp.at(now)})
        cookie = {"Cookie": logged_in.headers["set-cookie"].partition(";")[0]}
        token = (await self._access("/v1/token", json={"grant_type": "session"}, headers=cookie))["access_token"]

        async def accepted_everywhere() -> bool:
            answers = [await self.ask(service, "GET", "/v1/parked", token) for service in DEPLOYED]
            return {answer.status_code for answer in answers} == {200}

        await eventually(accepted_everywhere, 60)
        return str(subject), str(token)

    async def revoked(self, subject: str, token: str) -> dict[str, float]:
        """Revoke a principal; return the seconds from the answer until each service refuses its token."""
        answer = await self.ask("access", "POST", f"/v1/principals/{subject}:revoke")
        assert answer.status_code == 200, answer.text
        began = time.monotonic()

        async def refused_by(service: str) -> float:
            while (await self.ask(service, "GET", "/v1/parked", token)).status_code != 401:
                assert time.monotonic() < began + 60, f"{service} still accepts a principal that was revoked"
            return time.monotonic() - began

        took = await asyncio.gather(*map(refused_by, DEPLOYED))
        return dict(zip(DEPLOYED, took, strict=True))

    async def _access(self, path: str, **more: Any) -> Any:
        answer = await self.ask("access", "POST", path, **more)
        assert answer.is_success, answer.text
        return answer.json()


@asynccontextmanager
async def saturated(found: Market) -> AsyncIterator[client.Load]:
    """The accept path under as many orders as 32 connections bring, each sending the next after its answer."""
    for kind, id, body in market.catalogue():
        answer = await found.ask("orders", "PUT", f"/v1/catalog/{kind}/{id}", json=body)
        assert answer.is_success, answer.text
    header = {"Authorization": f"Bearer {found.tokens['buyer']}"}
    stopping = False

    def orders() -> Iterator[bytes]:
        for seed in itertools.count():
            for order in market.sample_orders(100, seed):
                if stopping:
                    return
                yield client.encode("/v1/orders", order.body, header)

    port, load, endless = int(found.urls["orders"].rpartition(":")[2]), client.Load(), orders()
    connections = await client.connect(port, CONNECTIONS)
    sending = [asyncio.create_task(client.send_all(one, endless, load)) for one in connections]
    try:
        await eventually(lambda: len(load.millis) >= WARM_ORDERS or any(task.done() for task in sending), 60)
        yield load
    finally:
        stopping = True
        await asyncio.gather(*sending)
        for one in connections:
            one.close()


async def test_every_service_refuses_a_revoked_caller_within_five_seconds_under_full_load(
    running: dict[str, Any],
) -> None:
    async with httpx2.AsyncClient(timeout=60, trust_env=False) as http:
        found = Market(http, running["http"], running["tokens"])
        admins = [await found.admin(f"admin-{n}") for n in range(3)]
        async with saturated(found) as load:
            took = [await found.revoked(*admin) for admin in admins]
        assert set(load.statuses) == {201}
        assert max(max(one.values()) for one in took) <= SEEN_S, took
