"""The front door as strangers meet it: a real Caddy, with the product's Caddyfile, before an upstream of the tests."""

from __future__ import annotations

import gzip
import hashlib
import re
import socket
import ssl
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from contracts.topics import DEPLOYED
from deploy.local.door import trust
from deploy.local.door.caddyfile import SITE, Listener
from deploy.local.door.process import Door
from deploy.local.errors import StackError
from deploy.local.processes.child import wait_until
from tests.integration.door_world import Front, open_front, settings_of

SECRET = "not-to-be-logged-8f3a"
SCRIPT = b"console.log('halfday');" * 400


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the build of screens makes it: a page, and an asset that was compressed before."""
    folder = tmp_path_factory.mktemp("screens")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text("<!doctype html>" + "<p>market</p>" * 200)
    (folder / "assets/app.1234.js").write_bytes(SCRIPT)
    (folder / "assets/app.1234.js.gz").write_bytes(gzip.compress(SCRIPT, mtime=0))
    (folder / ".secret").write_text("x")
    return folder


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, site: Path) -> Iterator[Front]:
    with open_front(tmp_path_factory.mktemp("half day"), site) as found:
        yield found


@pytest.fixture(params=["plain", "secure"])
def http(request: pytest.FixtureRequest, front: Front) -> Iterator[httpx2.Client]:
    with front.client(getattr(front, request.param)) as client:
        yield client


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:halfday:problem:{code}")
    assert set(body) == {"type", "title", "status", "detail", "instance", "code", "errors"}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers
    return body


def test_v1_of_each_service_passes_without_its_prefix(http: httpx2.Client) -> None:
    for service in ("orders", "access"):
        answer = http.post(f"/api/{service}/v1/orders:batch?wait=2", content=b"12345", headers={"Authorization": "x"})
        assert answer.status_code == 200
        arrived = answer.json()
        assert (arrived["method"], arrived["path"], arrived["query"], arrived["size"]) == (
            "POST", "/v1/orders:batch", "wait=2", 5,
        )  # fmt: skip
        assert dict(arrived["headers"])["authorization"] == "x"
        secure = str(http.base_url).startswith("https")
        assert ("strict-transport-security" in answer.headers) == secure


def test_the_keys_of_access_pass(http: httpx2.Client) -> None:
    assert http.get("/api/access/.well-known/jwks.json").json()["path"] == "/.well-known/jwks.json"


@pytest.mark.parametrize(
    "path",
    [
        "/api/orders/metrics", "/api/orders/ready", "/api/orders/live", "/api/orders/docs", "/api/orders/openapi.json",
        "/api/orders/asyncapi", "/api/orders/schemas/x.json", "/api/orders", "/api/orders/", "/api/orders/v1",
        "/api/orders/.well-known/jwks.json", "/api/orders/v1/../metrics", "/api/orders/v1/%2e%2e/metrics",
        "/api/orders/v1/..%2fmetrics", "/api/orders//metrics", "/api/nosuch/v1/orders", "/api/",
    ],
)  # fmt: skip
def test_nothing_else_of_a_service_passes(front: Front, path: str) -> None:
    before = len(front.upstream.requests)
    with front.connection() as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        said = b"".join(iter(lambda: raw.recv(65536), b""))
    assert said.startswith(b"HTTP/1.1 404 "), said[:200]
    assert b"application/problem+json" in said
    assert len(front.upstream.requests) == before


def test_what_a_client_says_of_itself_never_arrives(http: httpx2.Client, front: Front) -> None:
    forged = {
        "Forwarded": "for=203.0.113.9;proto=https, for=198.51.100.1",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/x",
        "X-Real-IP": "203.0.113.9",
        "X-Request-Id": "mine",
        "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        "tracestate": "a=b",
        "baggage": "a=b",
    }
    secure = str(http.base_url).startswith("https")
    headers: list[list[str]] = http.get("/api/orders/v1/orders", headers=forged).json()["headers"]
    found = [(name, value) for name, value in headers if name in {word.lower() for word in forged}]
    assert sorted(name for name, _ in found) == ["forwarded", "x-request-id"]
    port = (front.secure if secure else front.plain).port
    scheme = "https" if secure else "http"
    assert re.fullmatch(rf'for="127\.0\.0\.1:\d+";host="127\.0\.0\.1:{port}";proto={scheme}', dict(found)["forwarded"])
    assert re.fullmatch(r"[0-9a-f-]{36}", dict(found)["x-request-id"])


def test_a_header_limit_and_a_body_limit(front: Front) -> None:
    with front.client(front.plain) as http:
        assert http.get("/api/orders/v1/x", headers={"X-Long": "x" * 15_000}).status_code == 200
        assert http.get("/api/orders/v1/x", headers={"X-Long": "x" * 40_000}).status_code == 431
        limit = 2 * 1024 * 1024
        assert http.post("/api/orders/v1/x", content=b"x" * limit).json()["size"] == limit
        problem(http.post("/api/orders/v1/x", content=b"x" * (limit + 1)), 413, "too-large")

        def chunks() -> Iterator[bytes]:
            for _ in range(40):
                yield b"x" * 65_536

        before = len(front.upstream.requests)
        problem(http.post("/api/orders/v1/x", content=chunks()), 413, "too-large")
        assert len(front.upstream.requests) == before


@pytest.mark.parametrize("start", [b"", b"GET /api/orders/v1/x HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "])
def test_a_slow_header_is_cut(front: Front, start: bytes) -> None:
    with front.connection() as raw:
        raw.sendall(start)
        raw.settimeout(0.2)
        began = time.monotonic()
        while time.monotonic() - began < 8:
            try:
                raw.sendall(b"x" if start else b"")
                if not raw.recv(4096):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert time.monotonic() - began < 4, "limit 1 s"


@pytest.mark.parametrize(
    "body", [b"Content-Length: 1000\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
)
def test_half_a_body_frees_the_client_and_the_service(front: Front, body: bytes) -> None:
    before = front.upstream.cut
    with front.connection() as raw:
        raw.sendall(b"POST /api/orders/v1/x HTTP/1.1\r\nHost: 127.0.0.1\r\n" + body)
        began = time.monotonic()
        while raw.recv(4096):
            pass
        assert 0.5 < time.monotonic() - began < 5, "limit 1 s"
    assert wait_until(lambda: front.upstream.cut > before, 5)


def test_events_come_at_once_uncompressed_and_end_with_the_client(http: httpx2.Client, front: Front) -> None:
    headers = {"Accept-Encoding": "gzip, zstd", "Last-Event-ID": "41"}
    with http.stream("GET", "/api/orders/v1/events", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in stream.headers
        lines = stream.iter_lines()
        assert next(lines) == "id: 41"
        assert front.upstream.streams == 1, "the first event came while the response was open"
    http.close()
    assert wait_until(lambda: front.upstream.streams == 0, 5)


def test_an_unknown_host_is_misdirected(http: httpx2.Client, front: Front) -> None:
    for path in ("/", "/api/orders/v1/x"):
        before = len(front.upstream.requests)
        problem(http.get(path, headers={"Host": "evil.example"}), 421, "misdirected")
        assert len(front.upstream.requests) == before


def test_static_files(http: httpx2.Client) -> None:
    page = http.get("/")
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-cache")
    assert page.headers["content-encoding"] in {"gzip", "zstd"}
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "microphone=()" in page.headers["permissions-policy"]
    secure = str(http.base_url).startswith("https")
    assert ("strict-transport-security" in page.headers) == secure
    asset = http.get("/assets/app.1234.js", headers={"Accept-Encoding": "gzip"})
    assert asset.content == SCRIPT
    assert asset.headers["content-encoding"] == "gzip"
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert int(asset.headers["content-length"]) == len(gzip.compress(SCRIPT)), "the file that was made before"
    again = http.get("/assets/app.1234.js", headers={"Accept-Encoding": "gzip", "If-None-Match": asset.headers["etag"]})
    assert again.status_code == 304


def test_a_missing_asset_is_an_error_that_nobody_keeps(http: httpx2.Client) -> None:
    for path in ("/assets/app.0000.js", "/nosuch", "/.secret", "/assets/../.secret"):
        problem(http.get(path), 404, "not-found")
    problem(http.post("/", content=b"x"), 405, "method-not-allowed")


def test_a_service_that_is_away_is_a_problem_and_nothing_of_it_is_logged(tmp_path: Path) -> None:
    with open_front(tmp_path / "d") as front, front.client(front.plain) as http:
        front.upstream.stop()
        answer = http.get(
            "/api/orders/v1/orders",
            headers={"Authorization": f"Bearer {SECRET}", "Cookie": f"s={SECRET}", "X-Other": SECRET},
        )
        body = problem(answer, 502, "unavailable")
        assert body["instance"] == f"urn:uuid:{answer.headers['x-request-id']}"
        assert answer.headers["retry-after"] == "1"
        assert front.log() == "", "a stranger can't fill the log"


def test_the_certificate_is_that_of_the_own_authority(front: Front) -> None:
    with front.client(front.secure) as http:
        assert http.get("/").status_code == 200
    refused = httpx2.Client(base_url=front.secure.url, trust_env=False)
    with refused, pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        refused.get("/")
    for name in ("market.local", "127.0.0.1"):
        with (
            socket.create_connection(("127.0.0.1", front.secure.port), timeout=5) as raw,
            front.trusting.wrap_socket(raw, server_hostname=name) as secured,
        ):
            assert secured.version() in {"TLSv1.2", "TLSv1.3"}
    with (
        socket.create_connection(("127.0.0.1", front.secure.port), timeout=5) as raw,
        pytest.raises(ssl.SSLError),
    ):
        front.trusting.wrap_socket(raw, server_hostname="evil.example")


def test_a_phone_gets_the_certificate_and_nothing_else_without_tls(front: Front) -> None:
    page = front.settings.trust
    assert page
    with httpx2.Client(base_url=f"http://127.0.0.1:{page.port}", trust_env=False) as phone:
        text = phone.get("/").text
        assert front.secure.url in text
        assert trust.fingerprint(front.settings) in text
        given = phone.get("/halfday-ca.crt")
        assert given.headers["content-type"] == "application/x-x509-ca-cert"
        assert given.text == (front.settings.authority / "root.crt").read_text()
        assert "PRIVATE" not in given.text
        for path in ("/root.key", "/api/orders/v1/x", "/../authority/root.key"):
            assert phone.get(path).status_code == 404, path
        problem(phone.get("/", headers={"Host": "evil.example"}), 421, "misdirected")


def test_the_root_of_another_address_and_what_it_signed_are_replaced(front: Front, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    settings = settings_of(tmp_path, front.upstream.port)
    old = settings.storage / "pki/authorities/local/intermediate.crt"
    old.parent.mkdir(parents=True)
    old.write_text("of a root before")
    door = Door(tmp_path, settings)
    try:
        door.start()
        trusting = ssl.create_default_context(cafile=str(settings.authority / "root.crt"))
        with httpx2.Client(base_url=settings.listeners[1].url, verify=trusting, trust_env=False) as http:
            assert http.get("/").status_code == 200
        issued = old.read_text()
        door.stop()
        door.start()
        assert old.read_text() == issued, "kept while the root is"
    finally:
        door.stop()


def test_caddy_writes_only_into_its_folder_and_for_its_owner(front: Front) -> None:
    assert stat.S_IMODE((front.settings.authority / "root.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(front.settings.authority.stat().st_mode) == 0o700
    assert stat.S_IMODE((front.data / "door").stat().st_mode) == 0o700
    assert {path.name for path in front.data.iterdir()} == {"door", "logs", "pids"}


@pytest.mark.parametrize("other", ["a program", "another door"])
def test_a_port_in_use_is_refused(front: Front, tmp_path: Path, other: str) -> None:
    (tmp_path / "logs").mkdir()
    settings = settings_of(tmp_path, front.upstream.port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1] if other == "a program" else front.plain.port
        busy = Listener("127.0.0.1", port, ("127.0.0.1",))
        door = Door(tmp_path, type(settings)(settings.upstreams, (busy,), settings.folder))
        with pytest.raises(StackError, match=f"port {port} of 127.0.0.1 is in use"):
            door.start()
        door.stop()


def test_the_words_of_an_invalid_file_are_told(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    settings = settings_of(tmp_path, 1)
    broken = type(settings)({"orders": "127.0.0.1:no-port"}, settings.listeners, settings.folder)
    with pytest.raises(StackError, match=r"Caddyfile is invalid: .*no-port"):
        Door(tmp_path, broken).start()


def test_open_streams_end_after_the_grace_period(tmp_path: Path) -> None:
    with (
        open_front(tmp_path / "d") as front,
        front.client(front.plain) as http,
        http.stream("GET", "/api/orders/v1/events") as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines)
        began = time.monotonic()
        front.door.stop()
        assert time.monotonic() - began < 5, "grace period 1 s"
        assert front.door.wait() == 0


def test_the_pages_of_the_product(tmp_path: Path) -> None:
    with open_front(tmp_path / "d", SITE) as front, front.client(front.plain) as http:
        page = http.get("/").text
        assert "半日达" in page
        assert "Halfday" in page
        assert all(page.count(f"<code>/api/{service}/v1</code>") == 2 for service in DEPLOYED), "in both languages"
        styles = re.findall(r'href="(/assets/[^"]+)"', page)
        assert len(styles) == 1
        style = http.get(styles[0])
        assert style.headers["content-type"].startswith("text/css")
        assert hashlib.sha256(style.content).hexdigest()[:12] in styles[0], "kept for a year under this name"
        assert not re.search(r"<script|style=|https?://", page)
