"""A courier: reads the route, records what happens at each door, and uploads it at once or later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import Client, call
from deploy.scenarios.actors.devices import Device, Upload

Stop = dict[str, Any]
"""A stop of a route, as the service shows it."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Everything that a courier records about one stop, in this order: the goods are loaded, the receiver is not at
    home, says a wrong code, gets the goods with the right `code`; without one the goods go back.
    """

    loaded: bool = True
    missed: bool = False
    wrong_code: bool = False
    code: str | None = None


@dataclass
class Courier:
    """One courier with a phone."""

    client: Client
    device: Device
    courier: str

    async def route(self) -> list[Stop]:
        """Return the stops of the released waves, in the order of their times."""
        stops: list[Stop] = (await call(self.client, requests.read_route(self.courier)))["stops"]
        return stops

    def visit(self, at: datetime, stop: Stop, visit: Visit) -> None:
        """Record a stop from its loading to its end."""
        if visit.loaded:
            self.load(at, stop)
        if visit.missed:
            self.fail(at, stop, "not-home")
        if visit.wrong_code:
            self.deliver(at, stop, "no code")
        if visit.code is None:
            self.bring_back(at, stop, "refused")
        else:
            self.deliver(at, stop, visit.code)

    def load(self, at: datetime, stop: Stop) -> None:
        """Take the goods on board."""
        self._record("load", at, stop)

    def deliver(self, at: datetime, stop: Stop, code: str) -> None:
        """Hand over against the receiver's code."""
        self._record("deliver", at, stop, code=code)

    def fail(self, at: datetime, stop: Stop, reason: str) -> None:
        """Try without success; the goods stay on board."""
        self._record("fail", at, stop, reason=reason)

    def bring_back(self, at: datetime, stop: Stop, reason: str) -> None:
        """Return the goods to the station."""
        self._record("return", at, stop, reason=reason)

    def _record(self, kind: str, at: datetime, stop: Stop, **more: str) -> None:
        self.device.record(kind, at, {"job": stop["job"], "epoch": stop["epoch"], **more})

    async def sync(self, uploads: Sequence[Upload]) -> dict[str, Any]:
        """Upload these reports; return the service's answer. Raises `Refused`."""
        request = requests.sync_courier(self.courier, self.device.name, uploads, self.device.seal(uploads))
        answer: dict[str, Any] = await call(self.client, request)
        return answer
