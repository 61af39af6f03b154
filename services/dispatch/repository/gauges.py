"""The health figures of dispatch: waves that cannot be planned, with their reasons."""

from __future__ import annotations

from prometheus_client import Gauge

from services.kit.database import Pool
from services.kit.http.health import CheckResult

BLOCKED = Gauge("halfday_waves_blocked", "Waves that are cut and cannot be planned; /ready gives the reasons")


async def update_blocked(pool: Pool) -> None:
    """Set `BLOCKED` from the database."""
    BLOCKED.set(len(await _blocked(pool)))


async def check_waves(pool: Pool) -> CheckResult:
    """Name each wave that cannot be planned, with its reason. The process keeps working, so it stays ready."""
    found = await _blocked(pool)
    detail = "; ".join(f"wave {id} is blocked: {reason}" for id, reason in found.items())
    return CheckResult(True, detail or "no wave is blocked", degraded=bool(found))


async def _blocked(pool: Pool) -> dict[str, str]:
    found = await pool.fetch("select id, blocked from wave where blocked is not null order by cutoff, id limit 20")
    return {row["id"]: row["blocked"] for row in found}
