"""Calls to a service as principals with access tokens."""

from __future__ import annotations

from typing import Any

import httpx2

from contracts.scopes import KINDS, STAFF
from services.kit.context import Context
from services.kit.process.api import create_api
from services.kit.process.service import Service
from tests.tokens import Issuer


class Callers:
    """Calls a service as principals with bounds."""

    def __init__(self, service: Service, context: Context) -> None:
        self._issuer, self._clock = Issuer(), context.clock
        transport = httpx2.ASGITransport(create_api(service, context, self._issuer.directory))
        self._http = httpx2.AsyncClient(transport=transport, base_url="http://test")

    async def call(
        self, who: str, method: str, path: str, body: Any = None, key: str | None = None, **bounds: list[str]
    ) -> tuple[int, Any]:
        """Return status and JSON of an answer to `staff.ROLE` or `KIND.ID`."""
        kind, _, role = who.partition(".")
        scopes = STAFF[role] if kind == "staff" else KINDS[kind]
        headers = self._issuer.headers(who, scopes, self._clock.real(), **bounds)
        if key:
            headers["Idempotency-Key"] = key
        answer = await self._http.request(method, f"/v1{path}", json=body, headers=headers)
        return answer.status_code, answer.json()


def same_as_unknown(answer: tuple[int, Any], unknown: tuple[int, Any], ids: tuple[str, str]) -> None:
    """A 404 that differs from the one of an unknown id by the id alone."""
    assert answer[0] == unknown[0] == 404, (answer, unknown)
    found, of_unknown = ({**one[1], "instance": ""} for one in (answer, unknown))
    assert {**found, "detail": found["detail"].replace(ids[0], ids[1])} == of_unknown
