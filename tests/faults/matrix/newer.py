"""A service of the next version: some of its events have one more optional field, as a minor change may add.

`python -m tests.faults.matrix.newer SERVICE ROLE`
"""

from __future__ import annotations

import runpy
import sys

from pydantic.fields import FieldInfo

from contracts.envelope import Event
from contracts.events.dispatch import JobDelivered
from contracts.events.inventory import StockReserved
from contracts.events.orders import OrderPlaced

FIELD, VALUE = "since_next_version", "a field that older readers do not know"


def add_field(model: type[Event]) -> None:
    """Gives the model an optional field more."""
    model.__pydantic_fields__[FIELD] = FieldInfo(annotation=str | None, default=VALUE)  # type: ignore[arg-type]
    model.model_rebuild(force=True)


def main() -> None:
    """Runs the service as it would run itself."""
    _, service, role = sys.argv
    for model in (OrderPlaced, StockReserved, JobDelivered):
        add_field(model)
    sys.argv = [service, role]
    runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
