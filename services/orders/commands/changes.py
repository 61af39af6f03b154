"""The changes of one transaction: aggregates are loaded, decide in memory, and are saved and published together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from contracts.events.inventory import AllotmentEvent, ClaimsExceeded
from services.kit.transaction.message import DeadlineReached, Message
from services.kit.transaction.unit_of_work import CORRELATION, UnitOfWork
from services.orders.commands.publish import publish, publish_campaign
from services.orders.domain.campaign.campaign import CampaignDecision
from services.orders.domain.order.order import OrderDecision
from services.orders.domain.order.state_machine import decide
from services.orders.repository.campaign import PART, CampaignRepository
from services.orders.repository.order import OrderRepository
from services.orders.repository.rows import Cause
from services.orders.repository.store import Store


class Changes:
    """The orders and campaigns that one transaction locks and changes, and the two projections that arrive on the same
    topic as stock answers: allotments and sold-out items.

    `load` first, then handlers or a request change them synchronously, then `save`. `part` is the most joins to settle,
    `actor` the subject that makes the request.
    """

    def __init__(self, uow: UnitOfWork, part: int = PART, actor: str = "") -> None:
        self.uow = uow
        self._actor = actor
        self._store: Store = uow.store
        self.orders = OrderRepository(self._store)
        self.campaigns = CampaignRepository(self._store, uow.ports.crash_point, part)
        self.allotments: dict[tuple[str, str, str], AllotmentEvent] = {}
        self.sold_out: dict[tuple[str, str], bool] = {}

    async def load(self, messages: Sequence[Message[Any]]) -> None:
        """Lock and read every order that the messages name, then the campaigns among the other ids; a constant number
        of statements.
        """
        ids = {id for message in messages for id in subjects(message.data)}
        found = await self.orders.load(ids)
        await self.campaigns.load(ids - found)

    def change_order(self, id: UUID, message: Any) -> OrderDecision | None:
        """Let the order decide on a message or request, record the step and publish it; None for an unknown order."""
        before = self.orders.get(id)
        if before is None:
            return None
        decision = decide(before, message, self.uow.now)
        if decision.step:
            cause = self.uow.cause
            name = cause.type if cause else type(message).__name__.lower()
            self.orders.record(decision.order, name, self._cause(), self.uow.now, getattr(message, "note", ""))
            publish(self.uow, decision)
        return decision

    def change_campaign(self, decision: CampaignDecision) -> None:
        """Record a decision about a campaign that is loaded, and publish it."""
        publish_campaign(self.uow, decision, self.campaigns.recipients)
        self.campaigns.record(decision, self._cause())

    def _cause(self) -> Cause:
        if message := self.uow.cause:
            return Cause(str(message.id), message.envelope.source)
        return Cause(CORRELATION.get() or "", self._actor)

    async def save(self) -> None:
        """Write every change, one statement for each table that has any."""
        now = self.uow.now
        await self.orders.save(now)
        await self._store.save_allotments(self.allotments)
        await self._store.save_sold_out(self.sold_out)
        await self.campaigns.save(now)


def subjects(data: Any) -> tuple[UUID, ...]:
    """Return the ids of the orders, or of the campaign, that a message is about."""
    match data:
        case DeadlineReached():
            return (UUID(data.subject),)
        case ClaimsExceeded():
            return tuple(data.orders)
        case _:
            order = getattr(data, "order", None)
            return (order,) if isinstance(order, UUID) else ()
