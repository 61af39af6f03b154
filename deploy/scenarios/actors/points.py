"""A pickup point: its leader marks orders as arrived, and hands them over against the buyer's code."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.buyers import ENDED
from deploy.scenarios.actors.client import Client, Request, call, granted
from deploy.scenarios.actors.requests import Id


@dataclass(slots=True)
class PickupPoint:
    """A point with its leader. Both methods return False if they have to be tried again; they raise `Refused`."""

    client: Client

    async def set_out(self, order: Id) -> bool:
        """Mark an order as arrived. Return True if it is, or if the order has ended otherwise."""
        return await self._is_over(order, requests.ready(order))

    async def hand_over(self, order: Id, code: str) -> bool:
        """Hand an order over. Return True if it is handed over, or if the order has ended otherwise."""
        return await self._is_over(order, requests.collect(order, code))

    async def _is_over(self, order: Id, request: Request) -> bool:
        if await granted(self.client, request):
            return True
        return (await call(self.client, requests.read_order(order)))["state"] in ENDED
