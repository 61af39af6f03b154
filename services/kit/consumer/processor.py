"""Processes a batch in one transaction; retries transient errors, bisects to a failing message and dead-letters it."""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import structlog

from services.kit.consumer import dead_letters
from services.kit.consumer.delivery import Delivery, reason
from services.kit.database import Pool, is_transient
from services.kit.errors import Transient, Unprocessable
from services.kit.faults import point
from services.kit.telemetry import tracing
from services.kit.telemetry.metrics import BATCH_SECONDS, HANDLED, LAST_BATCH
from services.kit.transaction.message import Message, Record
from services.kit.transaction.ports import Ports
from services.kit.transaction.unit_of_work import UnitOfWork, begin

BUDGET_S = 20.0
TRIES = 3
REDRIVE_BATCH, REDRIVE_S = 100, 3.0
"""Limits of a redrive: it is one request of an operator, and a scope may have thousands of records."""
_log = structlog.get_logger("halfday.processor")


class Repository(Protocol):
    """A service's identity map of the aggregates that one transaction touches; only it has SQL on its tables."""

    uow: UnitOfWork

    async def load(self, messages: Sequence[Message[Any]]) -> None:
        """Lock every head row that the messages need, sorted, then read the rows that depend on them."""

    async def save(self) -> None:
        """Write every change, set-based."""


@dataclass(frozen=True, slots=True)
class Redriven:
    """The result of a redrive: how many it processed, the error that stopped it, and whether time ran out (`more`)."""

    done: int
    error: str | None = None
    more: bool = False


class BatchProcessor(ABC):
    """Processes the deliveries of one consumer. `consumer` names it in inbox, dead letters and event ids."""

    def __init__(
        self,
        consumer: str,
        *,
        pool: Pool,
        ports: Ports,
        open_repository: Callable[[UnitOfWork], Repository],
        wake: Callable[[], None] | None,
    ) -> None:
        self.consumer = consumer
        self.pool = pool
        self.ports = ports
        self._open_repository = open_repository
        self._wake = wake

    @abstractmethod
    def read(self, record: Record) -> Delivery | None:
        """Return the record as a delivery, or None for one that this consumer ignores. Never raises."""

    async def _take(self, _uow: UnitOfWork, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Drop deliveries that were already processed; runs before the aggregates are locked."""
        return list(deliveries)

    async def _confirm(self, _uow: UnitOfWork, deliveries: Sequence[Delivery]) -> set[Any]:
        """Return the ids of deliveries that are still to be processed; runs after the aggregates are locked."""
        return {delivery.id for delivery in deliveries}

    async def settle(self, deliveries: Sequence[Delivery], until: float | None = None) -> None:
        """Commit each delivery's effect or dead-letter it, in order, before returning.

        Raises `Transient` after about 20 s of trying (or at `until` on the monotonic clock): committed effects stay,
        and the whole batch may be given again.
        """
        if not deliveries:
            return
        until = until or time.monotonic() + BUDGET_S
        failures = 0
        while True:
            if failures and time.monotonic() > until:
                raise Transient(f"{self.consumer} could not process its batch within {BUDGET_S:.0f} s")
            try:
                await self._attempt(deliveries)
                return
            except Exception as error:
                if is_transient(error):
                    _log.warning("retry", consumer=self.consumer, error=type(error).__name__, failures=failures)
                elif len(deliveries) > 1:
                    await self._halve(deliveries, until)
                    return
                else:
                    deliveries = [self._count(deliveries[0], error)]
                failures += 1
                await asyncio.sleep(min(5.0, 0.05 * 2**failures) * random.uniform(0.5, 1))

    async def _halve(self, deliveries: Sequence[Delivery], until: float) -> None:
        middle = len(deliveries) // 2
        await self.settle(deliveries[:middle], until)
        await self.settle(deliveries[middle:], until)

    def _count(self, delivery: Delivery, error: Exception) -> Delivery:
        """Count a failed try; at the last one (the first, when no try can help) the delivery becomes a fault."""
        if delivery.fault is not None:
            raise error
        attempts = delivery.attempts + 1
        given_up = isinstance(error, Unprocessable) or attempts >= TRIES
        text = reason(error, delivery.record.topic)
        _log.warning("failed", consumer=self.consumer, id=str(delivery.id), error=text, attempts=attempts)
        return delivery._replace(attempts=attempts, fault=text if given_up else None)

    async def _attempt(self, deliveries: Sequence[Delivery]) -> None:
        with BATCH_SECONDS.labels(self.consumer).time(), tracing.get().batch(self.consumer) as spans:
            async with begin(self.pool, self.ports, consumer=self.consumer, wake=self._wake) as uow:
                uow.spans = spans
                fresh = await self._take(uow, deliveries)
                handled = await self._deal(uow, fresh) if fresh else 0
        point("effect.after_commit_before_ack")
        HANDLED.labels(self.consumer).inc(handled)
        LAST_BATCH.labels(self.consumer).set_to_current_time()

    async def _deal(self, uow: UnitOfWork, fresh: Sequence[Delivery]) -> int:
        scopes = {scope for delivery in fresh for scope in delivery.behind}
        runs, rejects, obsolete = _sort(fresh, await dead_letters.blocked(uow.conn, self.consumer, sorted(scopes)))
        repository = self._open_repository(uow)
        if runs:
            await repository.load([delivery.message for delivery in runs if delivery.message])
        confirmed = await self._confirm(uow, fresh)
        runs = [delivery for delivery in runs if delivery.id in confirmed]
        rejects = [(delivery, scope) for delivery, scope in rejects if delivery.id in confirmed]
        if runs:
            await self._run(uow, repository, runs)
        if obsolete.scopes:
            shown = [(delivery, scope) for delivery, scope in obsolete.rejects if delivery.id in confirmed]
            if shown:
                await dead_letters.store(uow, shown)
            await dead_letters.replaced(uow.conn, self.consumer, sorted(obsolete.scopes))
        if rejects:
            await dead_letters.store(uow, rejects)
        return len(runs)

    async def _run(self, uow: UnitOfWork, repository: Repository, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            if delivery.handler and delivery.message:
                uow.handle(delivery.message)
                delivery.handler(repository, delivery.message)
        uow.handle(None)
        await repository.save()

    async def redrive(self, scope: str) -> Redriven:
        """Process the scope's dead letters in order, in batches; unblock the scope when all are done.

        Stops at the first that fails again, and after about 3 s. Without dead letters it does nothing. Transient errors
        are raised.
        """
        done, size, until = 0, REDRIVE_BATCH, time.monotonic() + REDRIVE_S
        while True:
            if done and time.monotonic() > until:
                return Redriven(done, more=True)
            heads: list[dead_letters.Head] = []
            try:
                with tracing.get().batch(self.consumer) as spans:
                    async with begin(self.pool, self.ports, consumer=self.consumer, wake=self._wake) as uow:
                        uow.spans = spans
                        heads = await self._heads(uow, scope, size)
                        await self._again(uow, heads)
            except Exception as error:
                if is_transient(error) or not heads:
                    raise
                if len(heads) > 1:
                    size = 1  # to find the one that fails
                    continue
                text = reason(error, heads[0].record.topic)
                async with begin(self.pool, self.ports, consumer=self.consumer) as uow:
                    await dead_letters.failed_again(uow.conn, heads[0].id, text)
                return Redriven(done, text)
            if not heads:
                return Redriven(done)
            done += len(heads)

    async def _heads(self, uow: UnitOfWork, scope: str, limit: int) -> list[dead_letters.Head]:
        """Return the first of the scope's queue under the scope's lock; an empty queue is unblocked."""
        if not await dead_letters.lock(uow.conn, self.consumer, scope):
            return []
        heads = await dead_letters.first(uow.conn, self.consumer, scope, limit)
        if not heads:
            await dead_letters.unblock(uow.conn, self.consumer, scope)
        return heads

    async def _again(self, uow: UnitOfWork, heads: Sequence[dead_letters.Head]) -> None:
        deliveries = [found for head in heads if (found := self.read(head.record))]
        if faults := [found.fault for found in deliveries if found.message is None]:
            raise Unprocessable(faults[0])
        if deliveries:
            repository = self._open_repository(uow)
            await repository.load([delivery.message for delivery in deliveries if delivery.message])
            await self._run(uow, repository, deliveries)
        if heads:
            await dead_letters.remove(uow.conn, [head.id for head in heads])


class _Obsolete(NamedTuple):
    """Scopes in which a later delivery replaces all dead letters, and those that this batch made there before it."""

    scopes: set[str]
    rejects: list[tuple[Delivery, str]]


def _sort(fresh: Sequence[Delivery], blocked: set[str]) -> tuple[list[Delivery], list[tuple[Delivery, str]], _Obsolete]:
    """Return the deliveries that can run, and those to dead-letter with their scope (faults, and all behind a blocked
    scope, in order).
    """
    runs: list[Delivery] = []
    rejects: list[tuple[Delivery, str]] = []
    obsolete = _Obsolete(set(), [])
    for delivery in fresh:
        hit = delivery.behind & blocked
        if hit and delivery.replaces:
            blocked -= hit
            obsolete.scopes.update(hit)
            obsolete.rejects.extend(one for one in rejects if one[1] in hit)
            rejects = [one for one in rejects if one[1] not in hit]
            runs.append(delivery)
        elif hit:
            rejects.append((delivery._replace(fault=None), delivery.scope if delivery.scope in hit else min(hit)))
        elif delivery.fault is not None:
            rejects.append((delivery, delivery.scope))
            blocked.add(delivery.scope)
        else:
            runs.append(delivery)
    return runs, rejects, obsolete
