"""The keys that a batch of messages needs loaded, derived from the messages alone, so that a batch loads in one go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from contracts.events.catalog import CatalogEvent, MarketDayPut
from contracts.events.dispatch import DispatchCommand, ScheduleDelivery
from contracts.events.orders import RecipientPut
from services.kit.transaction.message import DeadlineReached, Erased, Message


@dataclass(slots=True)
class LoadSet:
    """Keys of rows. `entries` are the catalogue keys that the messages change."""

    entries: set[str] = field(default_factory=set)
    orders: set[UUID] = field(default_factory=set)
    market_days: set[str] = field(default_factory=set)
    waves: set[str] = field(default_factory=set)
    items: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, messages: Iterable[Message[Any]]) -> LoadSet:
        """Return the load set of these messages."""
        found = cls()
        for message in messages:
            found.add(message.data)
        return found

    def add(self, data: Any) -> None:
        """Add the keys that the handler of this message looks up."""
        match data:
            case MarketDayPut():
                self.entries.add(data.key)
                self.market_days.add(data.id)
                self.waves.update(terms.id for terms in data.waves)
            case CatalogEvent():
                self.entries.add(data.key)
            case ScheduleDelivery():
                self.orders.add(data.order)
                self.market_days.add(data.market_day)
                self.items.update(line.item for line in data.lines)
            case DispatchCommand() | RecipientPut():
                self.orders.add(data.order)
            case Erased(key):
                self.orders.add(UUID(key))
            case DeadlineReached(subject=wave):
                self.waves.add(wave)
