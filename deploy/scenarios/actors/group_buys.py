"""A group-buy: its leader opens it and sends the chat's list, members join and withdraw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import BrokenPromise, Client, call
from deploy.scenarios.actors.requests import Body, Id


@dataclass(slots=True)
class Leader:
    """The leader of one group-buy."""

    client: Client
    campaign: Id
    market_day: str
    community: str

    async def open(
        self, closes_at: datetime, goods: Sequence[Body], threshold: Mapping[str, Any], shortfall: str
    ) -> None:
        """Open the group-buy, for the first time or again; the quantity of each of its goods is the cap. Raises
        `Refused`.
        """
        opening = requests.open_campaign(
            self.campaign, self.market_day, self.community, closes_at, goods, threshold, shortfall
        )
        await call(self.client, opening)

    async def send_list(self, chat: str, pledges: Sequence[Body]) -> None:
        """Send the chat's numbered list, each entry a join. Raises `BrokenPromise` unless all of them are accepted."""
        answers = (await call(self.client, requests.send_list(self.campaign, chat, pledges)))["answers"]
        if refused := [answer for answer in answers if answer["status"] != 201]:
            raise BrokenPromise(f"a list of group-buy {self.campaign} was not accepted completely: {refused[0]}")

    async def settled(self) -> bool:
        """Return True if the group-buy has its verdict and every join has ended."""
        return bool((await call(self.client, requests.read_campaign(self.campaign)))["settled"])

    async def orders(self) -> list[str]:
        """Return the ids of the orders that it made, in the order of their joins."""
        joins = (await call(self.client, requests.read_joins(self.campaign)))["items"]
        return [join["order_id"] for join in joins if join["order_id"]]


@dataclass(eq=False, slots=True)
class Member:
    """A member of a group-buy with one join. `answer` is the first answer that accepted it, if any."""

    client: Client
    campaign: Id
    id: Id
    pledge: Body = field(repr=False)
    answer: Mapping[str, Any] | None = None

    async def join(self) -> None:
        """Join, for the first time or again. Raises `Refused`; `BrokenPromise` if its answer differs from the first."""
        answer = await call(self.client, requests.join(self.campaign, self.id, self.pledge))
        if self.answer not in (None, answer):
            raise BrokenPromise(f"join {self.id} sent again got another answer: {self.answer}, then {answer}")
        self.answer = answer

    async def withdraw(self) -> None:
        """Withdraw the join. Raises `Refused`."""
        await call(self.client, requests.withdraw(self.campaign, self.id))

    async def read(self) -> Mapping[str, Any]:
        """Return the join as it is now; once it is an order, with the order's id."""
        join: Mapping[str, Any] = await call(self.client, requests.read_join(self.campaign, self.id))
        return join
