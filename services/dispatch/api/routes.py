"""All routes of dispatch."""

from services.dispatch.api import courier, job, move, plan, promise, wave

ROUTERS = (promise.router, wave.router, plan.router, move.router, courier.router, job.router)
