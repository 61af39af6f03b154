"""A service of the next version: with additional fields, as a minor change may add, or additional types.

`python -m tests.faults.matrix.next_version SERVICE ROLE`; `NEWER=types` in the environment selects types.
"""

from __future__ import annotations

import os
import runpy
import sys
from typing import Any
from uuid import UUID

from pydantic.fields import FieldInfo

from contracts.envelope import Event
from contracts.events.dispatch import JobDelivered
from contracts.events.inventory import StockReserved
from contracts.events.orders import OrderPlaced
from contracts.readers import NO_READER, READERS
from contracts.registry import MODELS
from services.kit.transaction.unit_of_work import Origin, UnitOfWork

FIELD, VALUE = "since_next_version", "a field that older readers do not know"
TYPES = "types"


class _OfOrder(Event):
    order: UUID

    @property
    def key(self) -> str:
        return str(self.order)


class OrderPacked(_OfOrder, topic="orders.order.v1"):
    """A new type that the next version of inventory reads."""


class OrderPraised(_OfOrder, topic="orders.order.v1"):
    """A new type without a reader."""


def add_field(model: type[Event]) -> None:
    """Add an optional field to the model."""
    model.__pydantic_fields__[FIELD] = FieldInfo(annotation=str | None, default=VALUE)  # type: ignore[arg-type]
    model.model_rebuild(force=True)


def add_types(service: str) -> None:
    """Let orders publish both new types with each placed order, and inventory read one of them."""
    MODELS.update({model.TYPE: model for model in (OrderPacked, OrderPraised)})
    READERS.update({OrderPacked.TYPE: "inventory", OrderPraised.TYPE: NO_READER})
    emit = UnitOfWork.emit

    def emit_more(self: UnitOfWork, event: Event, *, part: str = "", origin: Origin | None = None) -> UUID:
        id = emit(self, event, part=part, origin=origin)
        if isinstance(event, OrderPlaced):
            for model in (OrderPacked, OrderPraised):
                emit(self, model(order=event.order), part=part, origin=origin)
        return id

    UnitOfWork.emit = emit_more  # type: ignore[method-assign]
    if service == "inventory":
        from services.inventory.handlers import SUBSCRIPTIONS

        handlers: Any = next(one.handlers for one in SUBSCRIPTIONS if one.topic == OrderPacked.TOPIC)
        handlers[OrderPacked] = lambda _book, _message: None


def main() -> None:
    """Run the service as it would run by itself."""
    _, service, role = sys.argv
    if os.environ.get("NEWER") == TYPES:
        add_types(service)
    else:
        for model in (OrderPlaced, StockReserved, JobDelivered):
            add_field(model)
    sys.argv = [service, role]
    runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
