"""A process that works but for one thing: `/ready` stays 200 and says it, and so do `status` and `doctor`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette

from deploy.local import endpoints
from services.kit.http import health

BROKEN = "1 entry can't be read: stations/town"


async def _ready(finding: health.CheckResult) -> httpx2.Response:
    async def check() -> health.CheckResult:
        return finding

    readiness = health.Readiness()
    readiness.checks = {"catalogue": check}
    app = Starlette(routes=health.routes("orders", readiness))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://orders") as client:
        return await client.get("/ready")


async def test_degraded_is_ready_and_says_what():
    answer = await _ready(health.CheckResult(True, BROKEN, degraded=True))
    assert (answer.status_code, answer.json()["degraded"]) == (200, [f"catalogue: {BROKEN}"])
    fine = await _ready(health.CheckResult(True, "40 entries"))
    assert (fine.status_code, fine.json()["degraded"]) == (200, [])


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Path]:
    """The folder of a stack with one process, which is ready but degraded."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"ready": True, "degraded": [f"catalogue: {BROKEN}"]}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "ports.json").write_text(json.dumps({"orders.api": server.server_port, "door": server.server_port}))
    processes = [{"name": name, "pid": 1} for name in ("orders.api", "door", "kafka")]
    (tmp_path / endpoints.FILE).write_text(json.dumps({"processes": processes}))
    yield tmp_path
    server.shutdown()
    server.server_close()


def test_status_says_what_is_degraded(stack: Path):
    assert endpoints.readiness(stack) == {"orders.api": f"ready, but catalogue: {BROKEN}", "door": "ready"}
    assert endpoints.waiting(stack) == ""  # a start does not wait for an operator
    assert endpoints.degraded(stack) == f"orders.api: ready, but catalogue: {BROKEN}"


def test_a_door_that_does_not_answer_is_named(stack: Path):
    ports = json.loads((stack / "ports.json").read_text())
    (stack / "ports.json").write_text(json.dumps(ports | {"door": 1}))
    assert endpoints.waiting(stack).startswith("door: does not answer: ")
