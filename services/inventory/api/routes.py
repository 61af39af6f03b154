"""The HTTP routes of inventory."""

from services.inventory.api import allotment, lot, stock

ROUTERS = (lot.router, stock.router, allotment.router)
