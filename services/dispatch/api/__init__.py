"""The routes of dispatch."""

from services.dispatch.api import couriers, jobs, moves, plans, promises, wave_plans, waves

ROUTERS = (
    promises.router,
    plans.router,
    waves.router,
    wave_plans.router,
    moves.router,
    couriers.router,
    jobs.router,
)
