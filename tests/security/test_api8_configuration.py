"""API8:2023, security misconfiguration: what every answer of a service has, and what none has.

The front door is in `tests/integration/test_door.py`, containers in `tests/unit/test_containers.py`, settings that are
refused off loopback in `tests/unit/test_settings.py`, operations pages in `tests/integration/test_http.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime

import httpx2
import pytest

from services.kit.process.service import Service
from tests.contract.test_scopes import SERVICES, S, client
from tests.tokens import Issuer

EXPECTED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
}


async def answers(service: Service) -> list[httpx2.Response]:
    """One answer of each kind: 200, 401, 403, 404, 405, 413, 422, 500."""
    issuer, now = Issuer(), datetime.now(UTC)
    admin = issuer.headers("staff.admin", frozenset(S), now)
    nobody = issuer.headers("capability.1", (), now)
    origin = {"Origin": "https://evil.example"}
    parked = "/v1/parked/1:discard"
    async with client(service, issuer) as http:
        return [
            await http.get("/live", headers=origin),
            await http.get("/v1/parked", headers=origin),
            await http.get("/v1/parked", headers=nobody | origin),
            await http.get("/v1/nothing", headers=admin | origin),
            await http.delete("/v1/parked", headers=admin | origin),
            await http.post(parked, headers=admin | origin, content=b" " * 300_000),
            await http.post(parked, headers=admin | origin, json={}),
            await http.get("/v1/parked", headers=admin | origin),
            await http.options("/v1/parked", headers=origin | {"Access-Control-Request-Method": "GET"}),
        ]


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_every_answer_is_safe_to_show_and_to_no_other_site(service: Service) -> None:
    found = await answers(service)
    assert [answer.status_code for answer in found] == [200, 401, 403, 404, 405, 413, 422, 500, 401]
    for answer in found:
        assert {name: answer.headers.get(name) for name in EXPECTED} == EXPECTED, answer.status_code
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert "server" not in answer.headers
        assert "x-powered-by" not in answer.headers
    for answer in found[1:]:
        assert answer.headers["content-type"] == "application/problem+json"
        assert not {"Traceback", 'File "', "NoneType", "postgresql://"} & set(answer.text.split())
        assert "NoneType" not in answer.text, "an error's own words stay in the log"
