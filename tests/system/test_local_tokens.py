"""The local tokens of a real stack: of use on the services' own ports, refused through the front door."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from contracts.topics import DEPLOYED
from deploy.local.data.options import Options
from deploy.local.stack import Stack

pytestmark = pytest.mark.stack
ROLES = ("operator", "terminal", "courier", "leader", "buyer")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The endpoints of a stack with the real services, and a front door for the network on 127.0.0.2."""
    with Stack(tmp_path_factory.mktemp("tokens"), Options(lan="127.0.0.2")) as stack:
        stack.wait_ready(120)
        yield stack.endpoints()


@pytest.fixture(scope="module")
def trusting(running: dict[str, Any]) -> ssl.SSLContext:
    with urllib.request.urlopen(running["lan"]["trust"] + "halfday-ca.crt", timeout=10) as answer:
        return ssl.create_default_context(cadata=answer.read().decode())


def status(url: str, token: str, trusting: ssl.SSLContext, **headers: str) -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}", **headers})
    try:
        with urllib.request.urlopen(request, timeout=20, context=trusting) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("service", DEPLOYED)
def test_refused_through_every_listener_of_the_door(
    running: dict[str, Any], trusting: ssl.SSLContext, service: str, role: str
) -> None:
    token = running["tokens"][role]
    direct = status(f"{running['http'][service]}/v1/parked", token, trusting)
    assert direct == (200 if role == "operator" else 403)
    for address in (running["door"], running["lan"]["url"]):
        path = f"{address}/api/{service}/v1/parked"
        assert status(path, token, trusting) == 401
        assert status(path, token, trusting, Forwarded="for=127.0.0.1") == 401
