"""A buyer of one order: places it, once or again, alone or in a list, pays and cancels it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import BrokenPromise, Client, call, granted
from deploy.scenarios.actors.requests import Body, amount_of

View = Mapping[str, Any]
"""An order as the service shows it."""
ENDED = frozenset({"rejected", "expired", "cancelled", "failed", "delivered", "collected", "returned"})


@dataclass(eq=False, slots=True)
class Buyer:
    """One buyer with one order. `body` is the order as sent, `order` the first answer that accepted it, if any."""

    client: Client
    body: Body
    order: View | None = None

    @classmethod
    def of(cls, client: Client, order: View) -> Self:
        """Return the buyer of an order that a group-buy made."""
        return cls(client, dict(order), order)

    @property
    def id(self) -> str:
        """The order's id."""
        return str(self.body["order_id"])

    @property
    def code(self) -> str:
        """The code that the buyer says to get the goods."""
        return str((self.order or {})["code"])

    async def place(self) -> View:
        """Place the order, for the first time or again; return the answer. Raises `Refused` and as `accept`."""
        return self.accept(await call(self.client, requests.place(self.body)))

    def accept(self, answer: View) -> View:
        """Take over an answer that accepts the order. Raises `BrokenPromise` if it has other goods than the order, or
        differs from the first one.
        """
        ordered, accepted = (_goods(one["lines"]) for one in (self.body, answer))
        if accepted != ordered:
            raise BrokenPromise(f"order {self.id} of {ordered} was accepted with {accepted}")
        if self.order not in (None, answer):
            raise BrokenPromise(f"order {self.id} sent again got another answer: {self.order}, then {answer}")
        self.order = answer
        return answer

    async def pay(self, payment: str | None = None) -> None:
        """Pay the accepted order's total under the payer's id of it; the default is the same each time. Raises
        `Refused`.
        """
        total = (self.order or {})["total_fen"]
        await call(self.client, requests.pay(self.id, payment or f"pay-{self.id}", total))

    async def cancel(self, reason: str | None = None) -> bool:
        """Cancel the order; return False if it is too late. Raises `Refused`."""
        return await granted(self.client, requests.cancel(self.id, reason))

    async def read(self, wait: float | None = None) -> View:
        """Return the order as it is now; `wait`: seconds for it to leave `placed`. Raises `Refused`."""
        order: View = await call(self.client, requests.read_order(self.id, wait))
        return order


async def place_list(client: Client, buyers: Sequence[Buyer]) -> list[Mapping[str, Any]]:
    """Place the orders of a chat group in one request, each judged on its own; return the answers that refuse one.
    Raises `Refused` for the whole list, and as `Buyer.accept`.
    """
    answers = (await call(client, requests.place_batch([buyer.body for buyer in buyers])))["answers"]
    for buyer, answer in zip(buyers, answers, strict=True):
        if answer["status"] == 201:
            buyer.accept(answer["order"])
    return [answer for answer in answers if answer["status"] != 201]


def _goods(lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    return [(line["item"], amount_of(line)) for line in lines]
