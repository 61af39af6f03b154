"""The routes of dispatch."""

from services.dispatch.api import couriers, jobs, promises, waves

ROUTERS = (promises.router, waves.router, couriers.router, jobs.router)
