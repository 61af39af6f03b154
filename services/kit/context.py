"""The parts of one running process that every layer may use: settings, ports, connection pool, relay wake-up."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from services.kit.clock import Clock
from services.kit.database import Pool
from services.kit.settings import Settings
from services.kit.transaction.ports import Ports, T
from services.kit.transaction.unit_of_work import UnitOfWork, begin


@dataclass(frozen=True, slots=True)
class Context:
    """One running process of the service that is named `service`. Use cases take it to open a transaction.

    `wake` wakes the relay, in this process or in the worker, after a commit with events.
    """

    settings: Settings
    ports: Ports
    pool: Pool
    wake: Callable[[], None]
    service: str

    @property
    def clock(self) -> Clock:
        """Business and wall-clock time."""
        return self.ports.clock

    @property
    def store(self) -> Any:
        """The service's tables, for single reads without a transaction (`uow.store` is the one with a transaction)."""
        return self.ports.store(self.pool)

    def table(self, kind: type[T]) -> T:
        """Open a table of the kit for single reads without a transaction."""
        return self.ports.table(kind, self.pool)

    def unit(self, consumer: str | None = None) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open one transaction in the name of `consumer`, by default `SERVICE.api`; see `unit_of_work.begin`."""
        return begin(self.pool, self.ports, consumer=consumer or f"{self.service}.api", wake=self.wake)
