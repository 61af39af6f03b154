"""The routes of dispatch."""

from services.dispatch.api import couriers, jobs, plans, promises, waves

ROUTERS = (promises.router, plans.router, waves.router, couriers.router, jobs.router)
