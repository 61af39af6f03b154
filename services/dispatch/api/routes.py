"""The routes of dispatch."""

from services.dispatch.api import courier, job, move, plan, promise, wave, wave_plan

ROUTERS = (
    promise.router,
    plan.router,
    wave.router,
    wave_plan.router,
    move.router,
    courier.router,
    job.router,
)
