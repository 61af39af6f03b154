"""A stall's terminal in orders, with devices that access has enrolled for it, and the staff that decides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from contracts.events.access import BoundsOf, DeviceKey, Kind, PrincipalPut, Status
from contracts.scopes import Scope
from deploy.scenarios.actors.devices import Device, Upload
from services.kit.telemetry.metrics import UPLOADS_FLAGGED
from services.orders.app import SERVICE as ORDERS
from tests.integration.callers import Callers
from tests.integration.orders_world import NOW, Orders
from tests.tokens import DeviceKey as Key

TERMINAL, HERE, ELSEWHERE = "terminal.stall-1", {"sites": ["square"]}, {"sites": ["elsewhere"]}
STALL = "orders.stall.v1"
QUARANTINED = "/uploads/quarantined"


class Stall:
    """A stall's terminal with the devices that access has enrolled for it."""

    def __init__(self, orders: Orders) -> None:
        self.orders, self.callers = orders, Callers(ORDERS, orders.context)
        self.version, self.keys = 0, list[DeviceKey]()

    async def enrol(self, key: Key | None = None, device: str | None = None) -> Key:
        """A new key, after which the others are retired; of a device that had another one, where that is named."""
        key, now = key or Key(), self.orders.clock.now()
        self.keys = [one if one.retired_at else one.model_copy(update={"retired_at": now}) for one in self.keys]
        public = {name: key.public[name] for name in ("x", "y")}
        put = DeviceKey(thumbprint=key.thumbprint, **public, since=now, device=device or key.thumbprint)
        self.keys.append(put)
        await self.publish()
        return key

    async def revoke(self) -> None:
        now = self.orders.clock.now()
        self.keys = [one.model_copy(update={"revoked_at": now}) for one in self.keys]
        await self.publish(status=Status.REVOKED)

    async def publish(self, status: Status = Status.ACTIVE) -> None:
        self.version += 1
        scopes, bounds = ["sale:submit"], BoundsOf(terminals=["stall-1"], sites=["square"])
        event = PrincipalPut(
            id=TERMINAL, version=self.version, kind=Kind.TERMINAL, scopes=scopes, bounds=bounds, keys=self.keys,
            status=status,
        )  # fmt: skip
        await self.orders.hear(event)

    async def send(
        self, till: Device, uploads: Sequence[Upload], /, key: Key | None = None, ended: bool = False, **changes: Any
    ) -> tuple[int, Any]:
        """The answer to a sync that this key sends, by default the device's own."""
        sent = {"device": till.name, "market_day": "sat", "uploads": list(uploads), **till.seal(uploads), **changes}
        body = {name: value for name, value in sent.items() if value is not None}
        sender = key or till.signer
        assert isinstance(sender, Key)
        scopes = [Scope.RECORD_HAND_IN] if ended else None
        bounds = {"terminals": ["stall-1"], **HERE}
        return await self.callers.call(
            TERMINAL, "POST", "/terminals/stall-1/sync", body, device=sender, scopes=scopes, **bounds
        )

    async def sync(self, till: Device, uploads: Sequence[Upload], /, **more: Any) -> dict[str, Any]:
        status, answer = await self.send(till, uploads, **more)
        assert status == 200, answer
        return dict(answer)

    async def desk(self, method: str, path: str, body: Any = None, **bounds: list[str]) -> tuple[int, Any]:
        return await self.callers.call("staff.desk", method, QUARANTINED + path, body, **(bounds or HERE))

    async def waiting(self, **bounds: list[str]) -> list[dict[str, Any]]:
        return list((await self.desk("GET", "", **bounds))[1]["uploads"])

    async def sold(self) -> int:
        return (await self.orders.names(STALL)).count("SaleRecorded")


def till(key: Key, name: str = "till-1", session: str = "s1") -> Device:
    return Device("terminal/stall-1", name, session, signer=key)


def sell(device: Device, at: datetime = NOW, quantity: int = 1) -> Upload:
    line = {"item": "honey", "quantity": quantity, "amount_fen": 550}
    return device.record("sale", at, {"sale": str(uuid4()), "lines": [line]})


def words(answer: dict[str, Any]) -> list[str]:
    return [one["answer"] for one in answer["uploads"]]


def flagged(flag: str) -> float:
    return float(UPLOADS_FLAGGED.labels(flag)._value.get())
