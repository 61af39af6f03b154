"""The HTTP routes of orders."""

from __future__ import annotations

from services.orders.api import campaign, catalog, member, order, payment, stall

ROUTERS = (order.router, payment.router, member.router, campaign.router, catalog.router, stall.router)
