"""The HTTP routes of access."""

from services.access.api import devices, principals, tokens

ROUTERS = (devices.router, tokens.router, principals.router)
