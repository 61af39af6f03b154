"""A real front door before an upstream of the tests, which records what arrives."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from deploy.local.door.caddyfile import DoorSettings, Limits, Listener, TrustPage
from deploy.local.door.process import Door
from deploy.local.door.trust import CERTIFICATE

QUICK = Limits(header_s=1, body_s=1, grace_s=1, retry_s=0.5)


def free_port() -> int:
    """Return a port without a listener."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Upstream:
    """An API in a thread: echoes a request, streams events, and records what arrived and what was cut off."""

    def __init__(self) -> None:
        self.port = free_port()
        self.requests: list[dict[str, object]] = []
        self.cut = 0
        self.streams = 0
        routes = [
            Route("/v1/events", self._events),
            Route("/{path:path}", self._echo, methods=["GET", "POST", "PUT", "DELETE"]),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes), port=self.port, log_config=None, proxy_headers=False, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def start(self) -> None:
        """Return when it listens."""
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)  # pause: uvicorn has no event for it

    def stop(self) -> None:
        """End it."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)

    async def _echo(self, request: Request) -> Response:
        try:
            size = len(await request.body())
        except ClientDisconnect:
            self.cut += 1
            return Response(status_code=400)
        arrived = {
            "method": request.method,
            "path": request.url.path,
            "query": request.url.query,
            "headers": [(name.decode(), value.decode()) for name, value in request.headers.raw],
            "size": size,
        }
        self.requests.append(arrived)
        return JSONResponse(arrived)

    async def _events(self, request: Request) -> Response:
        async def stream() -> AsyncIterator[str]:
            self.streams += 1
            try:
                yield f"id: {request.headers.get('last-event-id', 'none')}\ndata: {'x' * 2000}\n\n"
                while not await request.is_disconnected():
                    await asyncio.sleep(0.02)  # pause: between looks at the connection
            finally:
                self.streams -= 1

        return StreamingResponse(stream(), media_type="text/event-stream")


@dataclass
class Front:
    """A running door: `plain` and `secure` are its listeners, `trusting` knows its authority."""

    data: Path
    settings: DoorSettings
    door: Door
    upstream: Upstream
    plain: Listener
    secure: Listener
    trusting: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    def client(self, listener: Listener, **more: object) -> httpx2.Client:
        """Return a client that trusts the door's authority and no proxy."""
        return httpx2.Client(base_url=listener.url, verify=self.trusting, trust_env=False, timeout=10, **more)  # type: ignore[arg-type]

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        """Return a raw connection to the plain listener."""
        with contextlib.closing(socket.create_connection(("127.0.0.1", self.plain.port), timeout=10)) as found:
            yield found

    def log(self) -> str:
        """Return what Caddy has logged."""
        return (self.data / "logs" / "door.log").read_text()


def settings_of(data: Path, port: int, site: Path | None = None, limits: Limits = QUICK) -> DoorSettings:
    """Return settings with a plain and a TLS listener and the trust page, before an API on `port`."""
    plain = Listener("127.0.0.1", free_port(), ("127.0.0.1", "localhost"))
    secure = Listener("127.0.0.1", free_port(), ("127.0.0.1", "market.local"), tls=True)
    trust = TrustPage("127.0.0.1", free_port(), data / "door" / "trust")
    address = f"127.0.0.1:{port}"
    found = DoorSettings(
        {"orders": address, "access": address}, (plain, secure), data / "door", trust=trust, limits=limits
    )
    return replace(found, site=site) if site else found


@contextmanager
def open_front(data: Path, site: Path | None = None, limits: Limits = QUICK) -> Iterator[Front]:
    """A running door before a running upstream."""
    (data / "logs").mkdir(parents=True)
    upstream = Upstream()
    upstream.start()
    settings = settings_of(data, upstream.port, site, limits)
    door = Door(data, settings)
    try:
        door.start()
        assert settings.trust
        front = Front(data, settings, door, upstream, *settings.listeners)
        front.trusting.load_verify_locations(settings.trust.folder / CERTIFICATE)
        yield front
    finally:
        door.stop()
        upstream.stop()
