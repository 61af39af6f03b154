"""Calls to a service as principals with access tokens."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import httpx2

from contracts.scopes import KINDS, STAFF
from services.kit.context import Context
from services.kit.process.api import create_api
from services.kit.process.service import Service
from tests.tokens import DeviceKey, Issuer


class Callers:
    """Calls a service as principals with bounds."""

    def __init__(self, service: Service, context: Context) -> None:
        self.issuer, self._clock = Issuer(), context.clock
        transport = httpx2.ASGITransport(create_api(service, context, self.issuer.directory))
        self.http = httpx2.AsyncClient(transport=transport, base_url="http://test")

    async def call(
        self,
        who: str,
        method: str,
        path: str,
        body: Any = None,
        key: str | None = None,
        device: DeviceKey | None = None,
        scopes: Collection[str] | None = None,
        **bounds: list[str],
    ) -> tuple[int, Any]:
        """Return status and JSON of an answer to `staff.ROLE` or `KIND.ID`; with the key of its device, if it has one,
        and other scopes than those of its kind.
        """
        kind, _, role = who.partition(".")
        scopes = scopes or (STAFF[role] if kind == "staff" else KINDS[kind])
        now = self._clock.real()
        token = self.issuer.token(who, scopes, now, device, **bounds)
        headers = {"Authorization": f"{'DPoP' if device else 'Bearer'} {token}"}
        if device:
            headers["DPoP"] = device.proof(token, method, f"http://test/v1{path.partition('?')[0]}", now)
        if key:
            headers["Idempotency-Key"] = key
        answer = await self.http.request(method, f"/v1{path}", json=body, headers=headers)
        return answer.status_code, answer.json() if answer.content else None


def same_as_unknown(answer: tuple[int, Any], unknown: tuple[int, Any], ids: tuple[str, str]) -> None:
    """A 404 that differs from the one of an unknown id by the id alone."""
    assert answer[0] == unknown[0] == 404, (answer, unknown)
    found, of_unknown = ({**one[1], "instance": ""} for one in (answer, unknown))
    assert {**found, "detail": found["detail"].replace(ids[0], ids[1])} == of_unknown
