"""The simulator of a payment provider: it signs as Standard Webhooks says, and calls late, twice and out of order."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from standardwebhooks.webhooks import Webhook

Send = Callable[[str, bytes, dict[str, str]], Awaitable[int]]
"""Posts a body with headers to a path, and returns the status of the answer."""


@dataclass(frozen=True)
class Callback:
    """A signed callback as it goes over the wire."""

    body: bytes
    headers: dict[str, str]


@dataclass
class PaymentSimulator:
    """A provider with one secret; `settings` are those that orders needs for it."""

    name: str = "simulator"
    secret: str = field(
        default_factory=lambda: "whsec_" + base64.b64encode(b"a secret of the tests, 32 bytes!").decode()
    )

    @property
    def settings(self) -> str:
        """The variable `HALFDAY_PAYMENTS`."""
        return json.dumps({self.name: {"kind": "standard-webhooks", "secret": self.secret}})

    @property
    def path(self) -> str:
        """The path of its callbacks."""
        return f"/v1/payments/{self.name}/callbacks"

    def paid(self, order: UUID | str, amount_fen: int, transaction: str = "", **more: Any) -> dict[str, Any]:
        """Return the event of a payment."""
        at = datetime(2024, 11, 2, 1, 0, tzinfo=UTC).isoformat()
        data = {"order": str(order), "transaction": transaction or uuid4().hex, "amount_fen": amount_fen}
        return {"type": "payment.succeeded", "data": data | {"currency": "CNY", "paid_at": at} | more}

    def callback(self, event: Any, age: timedelta = timedelta(0), secret: str = "") -> Callback:
        """Return a callback that was signed so long ago; `event` are bytes or JSON."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        at, id = datetime.now(UTC) - age, f"msg_{uuid4().hex}"  # the library takes any time for one in UTC
        signature = Webhook(secret or self.secret).sign(id, at, body.decode(errors="replace"))
        return Callback(body, {
            "webhook-id": id, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature,
            "content-type": "application/json",
        })  # fmt: skip

    async def deliver(self, events: Iterable[Any], send: Send, seed: int) -> None:
        """Deliver each event in the end: out of order, some of them twice or more, some first lost and sent again
        later, and again until an answer is 2xx.
        """
        chance, queue = random.Random(seed), list(events)
        while queue:
            event = queue.pop(chance.randrange(len(queue)))
            fate = chance.choice(("sent", "lost", "twice", "answer lost"))
            if fate == "lost":
                queue.append(event)
                continue
            call = self.callback(event)
            status = await send(self.path, call.body, call.headers)
            if fate == "twice":
                status = await send(self.path, call.body, call.headers)
            if fate == "answer lost" or not 200 <= status < 300:
                queue.append(event)
