"""`/live`, `/ready` and `/metrics` of every process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.kit.startup_retry import one_line

CHECK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check, as text or seconds. Not `ok`: the process can't work. `degraded`: it works, except for
    a fault that an operator has to fix.
    """

    ok: bool
    detail: str | float
    degraded: bool = False


Check = Callable[[], Awaitable[CheckResult]]


class Readiness:
    """Named checks, run concurrently and each within 2 s. Ready means that all are ok and the start is complete."""

    def __init__(self) -> None:
        self.checks: dict[str, Check] = {}
        self.waiting_for: str | None = None

    async def report(self) -> tuple[bool, dict[str, CheckResult]]:
        """Return true if the process is ready, and every result by name. A check that raises counts as not ok."""
        checks = dict(self.checks)
        found = dict(zip(checks, await asyncio.gather(*map(_run, checks.values())), strict=True))
        if self.waiting_for:
            found["start"] = CheckResult(False, f"waiting for {self.waiting_for}")
        return all(finding.ok for finding in found.values()), found


async def _run(check: Check) -> CheckResult:
    try:
        return await asyncio.wait_for(check(), CHECK_SECONDS)
    except TimeoutError:
        return CheckResult(False, f"no answer within {CHECK_SECONDS:.0f} s")
    except Exception as error:
        return CheckResult(False, one_line(error))


def live(service: str) -> Route:
    """Return the route `/live`, which answers while the event loop runs."""

    async def endpoint(_request: Request) -> Response:
        return _json({"live": True, "service": service})

    return Route("/live", endpoint)


def routes(service: str, readiness: Readiness) -> list[Route]:
    """Return `/live`, `/ready` and `/metrics`. `/ready` is 503 with the reasons when not ready, and lists degraded
    parts, which leave it ready: a load balancer must keep a process that serves the rest. A client on another machine
    gets the names of the checks only: their texts quote addresses and errors of drivers.
    """

    async def ready(request: Request) -> Response:
        is_ready, findings = await readiness.report()
        tell = _with_detail if _is_local(request) else _as_code
        reasons = [tell(name, finding) for name, finding in findings.items() if not finding.ok]
        degraded = [tell(name, finding) for name, finding in findings.items() if finding.degraded]
        body = {"ready": is_ready, "service": service, "reasons": reasons, "degraded": degraded}
        return _json(body | ({"checks": findings} if _is_local(request) else {}), 200 if is_ready else 503)

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [live(service), Route("/ready", ready), Route("/metrics", metrics)]


def _is_local(request: Request) -> bool:
    """Return whether the client is on this machine; one behind a proxy (RFC 7239) may be anywhere."""
    client = request.client
    return client is not None and ip_address(client.host).is_loopback and "forwarded" not in request.headers


def _with_detail(name: str, finding: CheckResult) -> str:
    return f"{name}: {finding.detail}"


def _as_code(name: str, _finding: CheckResult) -> str:
    return name


def _json(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
