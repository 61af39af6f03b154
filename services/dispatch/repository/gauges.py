"""What dispatch alone can say of its health: waves that can't be planned, and why."""

from __future__ import annotations

from prometheus_client import Gauge

from services.dispatch.repository.planning import blocked_waves
from services.kit.http.health import CheckResult
from services.kit.transaction.unit_of_work import Pool

BLOCKED = Gauge("halfday_waves_blocked", "Waves that are cut and can't be planned; /ready and the board say why")


async def blocked(pool: Pool) -> None:
    """Reads `BLOCKED`."""
    BLOCKED.set(len(await blocked_waves(pool)))


async def waves(pool: Pool) -> CheckResult:
    """Names each wave that can't be planned with its reason. The process works on, so it stays ready."""
    found = await blocked_waves(pool)
    said = "; ".join(f"wave {id} is blocked: {why}" for id, why in found.items())
    return CheckResult(True, said or "none is blocked", degraded=bool(found))
