"""API2:2023, broken authentication: every service refuses every credential that is not what access has issued.

Guessed codes and passwords are in `tests/integration/test_access_devices.py` and `test_access_people.py`, a revocation
under load in `tests/system/test_revocation.py`, the rules of one token in `tests/unit/test_tokens.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from services.kit.clock import ManualClock
from services.kit.context import Context
from services.kit.identity.directory import Directory
from services.kit.process.api import create_api
from services.kit.process.service import Service
from services.kit.settings import Settings
from services.kit.transaction.ports import Ports
from tests.contract.test_scopes import SERVICES, guarded, path_of
from tests.tokens import DeviceKey
from tests.unit.test_tokens import KEY, NOW, REFUSED, point, sign

BAD = {name: make for name, (make, _) in REFUSED.items()} | {
    "expired": lambda: sign(iat=int(NOW.timestamp()) - 700, exp=int(NOW.timestamp()) - 100),
    "not yet": lambda: sign(iat=int(NOW.timestamp()) + 100, exp=int(NOW.timestamp()) + 600),
    "of a device, without a proof": sign,
    "of another tenant": lambda: sign(cnf=None, tenant="elsewhere"),
    "a password": lambda: "operator",
}


def asked(service: Service) -> httpx2.AsyncClient:
    """A client of a service that knows the signing key of `tests.unit.test_tokens`, at its time."""
    directory, settings = Directory(), Settings(database_url="postgresql://nowhere")
    directory.signing_keys["a"] = point(KEY)
    ports = Ports(ManualClock(NOW), service.store)
    context = Context(settings, ports, None, lambda: None, service.name)  # type: ignore[arg-type]
    transport = httpx2.ASGITransport(create_api(service, context, directory))
    return httpx2.AsyncClient(transport=transport, base_url="http://test")


def requests(service: Service) -> Iterator[tuple[str, str]]:
    for route in guarded(service):
        yield path_of(route)
        if route == "POST /v1/orders":
            yield "POST", "/v1/orders?unusual=1"  # not for the fast path


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_it_is_refused_on_every_route(service: Service, make: Callable[[], str]) -> None:
    headers, wrong = {"Authorization": f"Bearer {make()}"}, []
    async with asked(service) as http:
        for method, path in requests(service):
            body = {"json": {}} if method in {"POST", "PUT"} else {}
            answer = await http.request(method, path, headers=headers, **body)  # type: ignore[arg-type]
            if answer.status_code != 401 or "www-authenticate" not in answer.headers:
                wrong.append(f"{method} {path}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_a_proof_is_of_the_key_of_its_token_and_used_once(service: Service) -> None:
    device, thief = DeviceKey(), DeviceKey()
    token = sign(cnf={"jkt": device.thumbprint})
    path = "/v1/parked"

    def signed(key: DeviceKey, method: str = "GET", at: str = path, **more: Any) -> dict[str, str]:
        proof = key.proof(token, method, f"http://test{at}", more.pop("now", NOW), **more)
        return {"Authorization": f"DPoP {token}", "DPoP": proof}

    swapped = {"Authorization": f"DPoP {token}", "DPoP": device.proof(sign(jti="2"), "GET", f"http://test{path}", NOW)}
    async with asked(service) as http:
        once = signed(device)
        assert (await http.get(path, headers=once)).status_code == 403, "accepted; a terminal is no administrator"
        refused = (
            once, swapped, signed(thief), signed(device, "POST"), signed(device, at="/v1/elsewhere"),
            signed(device, now=NOW - timedelta(seconds=90)), signed(device, jti=None),
            signed(device, header={"typ": "JWT"}),
        )  # fmt: skip
        for headers in refused:
            answer = await http.get(path, headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"][:5]) == (401, "DPoP "), headers
