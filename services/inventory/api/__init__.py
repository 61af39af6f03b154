"""The service's HTTP routes."""

from services.inventory.api import allotments, lots, stock

routes = (lots.router, stock.router, allotments.router)
