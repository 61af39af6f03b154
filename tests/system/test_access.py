"""Access in a real stack: an enrolled device uses another service through the door, until it is revoked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.integration.access_world import Device
from tests.system.test_stack import halfday

pytestmark = pytest.mark.stack
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SEEN_S = 5
"""Seconds within which every service knows a revocation."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a running stack with the real services."""
    data = tmp_path_factory.mktemp("access") / "data"
    try:
        up = halfday("up", "--data", data, "--detach")
        assert up.returncode == 0, up.stderr
        yield data
    finally:
        halfday("down", "--data", data)


def access(data: Path, *words: str) -> Any:
    """The JSON of an access command."""
    done = halfday("access", *words, "--data", data, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_terminal_from_its_code_to_its_revocation(data: Path) -> None:
    door = json.loads((data / "endpoints.json").read_text())["door"]
    made = access(data, "enrol", "terminal", "S1", "--at", "simaochong")
    assert made["link"] == f"{door}/enrol#{made['code']}"
    device = Device("terminal.S1")
    with httpx2.Client(base_url=door, timeout=30, trust_env=False) as client:
        assert client.post("/api/access/v1/devices", json=device.enrolment(made["code"])).status_code == 201
        body = {"grant_type": GRANT, "assertion": device.assertion(datetime.now(UTC))}
        token = client.post("/api/access/v1/token", json=body).json()["access_token"]

        def get(path: str) -> httpx2.Response:
            return client.get(path, headers=device.login(token, "GET", f"{door}{path}", datetime.now(UTC)))

        until = time.monotonic() + 60  # the signing key comes over Kafka
        while (answer := get("/api/inventory/v1/stock")).status_code != 200:
            assert time.monotonic() < until, answer.text
        stolen = client.get("/api/inventory/v1/stock", headers={"Authorization": f"Bearer {token}"})
        assert (stolen.status_code, stolen.headers["WWW-Authenticate"][:5]) == (401, "DPoP ")
        assert get("/api/orders/v1/parked").status_code == 403
        began = time.monotonic()
        assert access(data, "revoke", "terminal.S1")["status"] == "revoked"
        while get("/api/inventory/v1/stock").status_code != 401:
            assert time.monotonic() < began + SEEN_S
        assert client.post("/api/access/v1/token", json=body).status_code == 401
    (found,) = access(data, "list")["principals"]
    assert (found["subject"], found["status"]) == ("terminal.S1", "revoked")


def test_staff_is_invited_by_the_command_and_codes_are_shown(data: Path) -> None:
    door = json.loads((data / "endpoints.json").read_text())["door"]
    made = access(data, "invite", "staff", "--role", "admin")
    secret = made["link"].removeprefix(f"{door}/join#")
    with httpx2.Client(base_url=door, timeout=30, trust_env=False) as client:
        opened = client.post("/api/access/v1/invitations:open", json={"secret": secret})
        assert opened.json()["role"] == "admin"
        assert client.post("/api/access/v1/otp", json={"phone": "13812345678"}).status_code == 202
    until = time.monotonic() + 10
    while not (found := access(data, "codes")["codes"]):
        assert time.monotonic() < until
    assert found[0]["phone"] == "+8613812345678"
    assert access(data, "rotate")["kid"]
    wrong = halfday("access", "revoke", "terminal.nosuch", "--data", data)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)


def test_the_audit_knows_the_topic_of_access(data: Path) -> None:
    done = halfday("audit", "--data", data)
    assert done.returncode == 0, done.stdout
