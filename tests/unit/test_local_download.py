"""Fetching by digest: the system's certificates, proxies, resuming, and every failure with its cause."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from deploy.local.errors import StackError
from deploy.local.kafka import jars
from deploy.local.setup import download

BODY = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()
FROM_OUTSIDE = ("SSL_CERT_FILE", "SSL_CERT_DIR", *download.BUNDLES, "PIP_CERT", "PIP_PROXY", "PIP_CONFIG_FILE")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class Server(ThreadingHTTPServer):
    """A file server on 127.0.0.1 that can cut connections; `ranges` and `paths` are what was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.status, self.cut_after, self.knows_ranges = BODY, 200, len(BODY), True
        self.ranges: list[str | None] = []
        self.paths: list[str] = []

    def url(self, scheme: str = "https") -> str:
        """Return where the file is."""
        return f"{scheme}://localhost:{self.server_port}/a/file.jar"

    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over what a client broke off."""


class Handler(BaseHTTPRequestHandler):
    """Answers one GET as its server says."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send the file, or its rest, or its beginning only."""
        asked, server = self.headers["Range"], self.server
        server.ranges.append(asked)
        server.paths.append(self.path)
        start = int(asked[6:-1]) if asked and server.knows_ranges else 0
        rest = server.body[start:]
        self.send_response(206 if start else server.status)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.body) - 1}/{len(server.body)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: server.cut_after])
        self.close_connection = True

    def do_CONNECT(self) -> None:
        """Be a proxy: note the target and refuse, or pass bytes on."""
        self.server.paths.append(self.path)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as target:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pass_on, args=(target, self.connection), daemon=True)
            back.start()
            _pass_on(self.connection, target)
            back.join()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No certificates or proxies of the machine, and no waiting between tries."""
    for name in (*FROM_OUTSIDE, *PROXIES, *map(str.lower, PROXIES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setattr(download, "WAIT_S", 0.0)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """An authority that no machine trusts."""
    return trustme.CA()


@pytest.fixture
def serve(authority: trustme.CA) -> Iterator[Callable[[bool], Server]]:
    """`serve(tls)`: a running server, ended with the test."""
    servers: list[Server] = []

    def start(tls: bool) -> Server:
        server = Server()
        servers.append(server)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("localhost").configure_cert(context)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> str:
    """A file with the authority's certificate."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    return str(tmp_path / "authority.pem")


def fetch(url: str, file: Path) -> None:
    with download.connect() as client:
        download.fetch(client, url, file, SHA256)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"])
def test_what_the_system_or_pip_trusts_is_trusted(
    variable: str, serve: Callable[[bool], Server], trusted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, trusted)
    fetch(serve(True).url(), tmp_path / "new" / "file.jar")
    assert (tmp_path / "new" / "file.jar").read_bytes() == BODY
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.jar"]


def test_a_certificate_that_is_not_trusted_is_named_with_what_to_do(
    serve: Callable[[bool], Server], tmp_path: Path
) -> None:
    with pytest.raises(StackError, match=r"certificate of localhost is not trusted .*REQUESTS_CA_BUNDLE"):
        fetch(serve(True).url(), tmp_path / "file.jar")


def test_a_bundle_without_certificates_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nothing.pem"))
    with pytest.raises(StackError, match=r"REQUESTS_CA_BUNDLE is .*nothing\.pem, which has no certificates"):
        download.connect()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "PIP_PROXY"])
def test_a_proxy_of_the_environment_or_of_pip_is_used(
    variable: str, serve: Callable[[bool], Server], trusted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, proxy = serve(True), serve(False)
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    monkeypatch.setenv(variable, f"http://localhost:{proxy.server_port}")
    fetch(server.url(), tmp_path / "file.jar")
    assert proxy.paths == [f"localhost:{server.server_port}"]
    assert (tmp_path / "file.jar").read_bytes() == BODY


def test_a_proxy_that_refuses_is_named_without_its_password(
    serve: Callable[[bool], Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(False)
    proxy.status = 407
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@localhost:{proxy.server_port}")
    with pytest.raises(StackError, match=f"the proxy http://localhost:{proxy.server_port} refused .*407") as caught:
        fetch("https://far.example/file.jar", tmp_path / "file.jar")
    assert "secret" not in str(caught.value)


def test_a_download_that_is_cut_goes_on_where_it_was(serve: Callable[[bool], Server], tmp_path: Path) -> None:
    server = serve(False)
    server.cut_after = 40_000  # of 256 000: more cuts than tries
    fetch(server.url("http"), tmp_path / "file.jar")
    assert (tmp_path / "file.jar").read_bytes() == BODY
    assert server.ranges[0] is None
    starts = [int(asked[6:-1]) for asked in server.ranges[1:] if asked]
    assert len(starts) == len(server.ranges) - 1 >= download.TRIES
    assert starts == sorted(set(starts))
    assert starts[0] > 0


def test_the_next_run_fetches_the_rest_only(serve: Callable[[bool], Server], tmp_path: Path) -> None:
    server = serve(False)
    (tmp_path / "file.jar.part").write_bytes(BODY[:100_000])
    fetch(server.url("http"), tmp_path / "file.jar")
    assert server.ranges == ["bytes=100000-"]
    assert (tmp_path / "file.jar").read_bytes() == BODY


def test_a_server_without_ranges_sends_the_whole(serve: Callable[[bool], Server], tmp_path: Path) -> None:
    server = serve(False)
    server.knows_ranges = False
    (tmp_path / "file.jar.part").write_bytes(b"old" * 50)
    fetch(server.url("http"), tmp_path / "file.jar")
    assert (tmp_path / "file.jar").read_bytes() == BODY


def test_a_part_of_something_else_is_fetched_again(serve: Callable[[bool], Server], tmp_path: Path) -> None:
    server = serve(False)
    (tmp_path / "file.jar.part").write_bytes(b"x" * 100_000)
    fetch(server.url("http"), tmp_path / "file.jar")
    assert server.ranges == ["bytes=100000-", None]
    assert (tmp_path / "file.jar").read_bytes() == BODY


def test_a_connection_that_brings_nothing_is_given_up(serve: Callable[[bool], Server], tmp_path: Path) -> None:
    server = serve(False)
    server.cut_after = 0
    with pytest.raises(StackError, match=f"was interrupted {download.TRIES} times"):
        fetch(server.url("http"), tmp_path / "file.jar")


def test_another_content_is_named_and_not_kept(serve: Callable[[bool], Server], tmp_path: Path) -> None:
    server = serve(False)
    server.body = b"something else"
    with pytest.raises(StackError, match="differs from the locked content"):
        fetch(server.url("http"), tmp_path / "file.jar")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_named(serve: Callable[[bool], Server], tmp_path: Path) -> None:
    server = serve(False)
    server.status = 404
    with pytest.raises(StackError, match=r"localhost answered 404 for /a/file\.jar"):
        fetch(server.url("http"), tmp_path / "file.jar")


def test_a_busy_server_is_asked_again(serve: Callable[[bool], Server], tmp_path: Path) -> None:
    server = serve(False)
    server.status = 503
    with pytest.raises(StackError, match="answered 503"):
        fetch(server.url("http"), tmp_path / "file.jar")
    assert len(server.paths) == download.TRIES


def test_a_refused_connection_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(StackError, match=r"connection to 127\.0\.0\.1 was refused"):
            fetch(f"http://127.0.0.1:{taken.getsockname()[1]}/file.jar", tmp_path / "file.jar")


def test_no_network_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(StackError, match=r"no network, or no name service: jars\.example is not found.*HTTPS_PROXY"):
        fetch("https://jars.example/file.jar", tmp_path / "file.jar")


def test_a_full_disk_is_named(serve: Callable[[bool], Server], tmp_path: Path) -> None:
    (tmp_path / "file.jar.part").symlink_to("/dev/full")
    with pytest.raises(StackError, match=re.escape(f"the disk of {tmp_path} is full") + ".*HALFDAY_CACHE"):
        fetch(serve(False).url("http"), tmp_path / "file.jar")


def test_jars_come_from_a_mirror_and_failures_say_what_else_there_is(
    serve: Callable[[bool], Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(False)
    lock = tmp_path / "kafka.lock"
    lock.write_text(f"org.a:one:1 sha256:{SHA256}\n")
    monkeypatch.setattr(jars.read_lock, "__defaults__", (lock,))
    monkeypatch.setenv("HALFDAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HALFDAY_MAVEN_REPOSITORY", server.url("http").replace("/a/file.jar", "/mirror/"))
    for name in ("KAFKA_HOME", "HALFDAY_KAFKA_JARS"):
        monkeypatch.delenv(name, raising=False)
    server.status = 403
    with pytest.raises(
        StackError, match=r"(?s)Kafka's jars can't be fetched: localhost answered 403.*HALFDAY_KAFKA_JARS"
    ):
        jars.class_path()
    server.status = 200
    assert [file.read_bytes() for file in jars.class_path()] == [BODY]
    assert set(server.paths) == {"/mirror/org/a/one/1/one-1.jar"}
