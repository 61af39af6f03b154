"""`/live`, `/ready` and `/metrics`, for the API and for the worker, which has no other HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

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


def routes(service: str, readiness: Readiness) -> list[Route]:
    """Return the three routes. `/live` answers while the event loop runs; `/ready` is 503 with the reasons when not
    ready, and lists degraded parts, which leave it ready: a load balancer must keep a process that serves the rest.
    """

    async def live(_request: Request) -> Response:
        return _json({"live": True, "service": service})

    async def ready(_request: Request) -> Response:
        is_ready, findings = await readiness.report()
        reasons = [f"{name}: {finding.detail}" for name, finding in findings.items() if not finding.ok]
        degraded = [f"{name}: {finding.detail}" for name, finding in findings.items() if finding.degraded]
        body = {"ready": is_ready, "service": service, "reasons": reasons, "degraded": degraded, "checks": findings}
        return _json(body, 200 if is_ready else 503)

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/live", live), Route("/ready", ready), Route("/metrics", metrics)]


def _json(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
