"""A dispatcher: cuts waves, hands out their routes once they are planned, and gives jobs to other couriers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import Client, call, granted
from deploy.scenarios.actors.couriers import Stop

PLANNED = frozenset({"planned", "released", "done"})


@dataclass
class Dispatcher:
    """The dispatcher of all stations. Methods raise `Refused`."""

    client: Client

    async def waves(self) -> list[dict[str, Any]]:
        """Return the first waves of the list with their jobs by state."""
        waves: list[dict[str, Any]] = (await call(self.client, requests.read_waves()))["waves"]
        return waves

    async def is_planned(self, wave: str) -> bool:
        """Return True if the wave has its plan."""
        return (await call(self.client, requests.read_wave(wave)))["state"] in PLANNED

    async def cut(self, wave: str) -> bool:
        """Cut a wave; return False if its cutoff was first."""
        return await granted(self.client, requests.cut(wave))

    async def release(self, wave: str) -> bool:
        """Hand out the routes of a wave; return False if it has to be tried again, for the wave is not planned yet."""
        return await granted(self.client, requests.release(wave))

    async def reassign(self, stop: Stop, courier: str) -> bool:
        """Give a job to another courier; return False if it is no longer handed out in the stop's epoch."""
        return await granted(self.client, requests.reassign(stop["job"], courier, stop["epoch"]))
