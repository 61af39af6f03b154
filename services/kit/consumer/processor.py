"""Processes a batch in one transaction; retries transient errors, bisects to a failing message and dead-letters it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import structlog

from services.kit.consumer import dead_letters
from services.kit.consumer.dead_letters import DeadLetterTable
from services.kit.consumer.dedup import Dedup
from services.kit.consumer.delivery import Delivery, reason
from services.kit.context import Context
from services.kit.database import is_transient
from services.kit.errors import Transient, Unprocessable
from services.kit.telemetry import tracing
from services.kit.telemetry.metrics import BATCH_SECONDS, HANDLED, LAST_BATCH
from services.kit.transaction.message import Message, Record
from services.kit.transaction.unit_of_work import UnitOfWork

BUDGET_S = 20.0
TRIES = 3
_log = structlog.get_logger("halfday.processor")


class Source(Protocol):
    """The records of one consumer; `consumer` names it in inbox, dead letters and event ids."""

    consumer: str

    def read(self, record: Record) -> Delivery | None:
        """Return the record as a delivery: ready to run, or with its fault; None for one that this consumer ignores."""


S = TypeVar("S", bound=Source)


class Repository(Protocol):
    """A service's identity map of the aggregates that one transaction touches; only it has SQL on its tables."""

    uow: UnitOfWork

    async def load(self, messages: Sequence[Message[Any]]) -> None:
        """Lock every head row that the messages need, sorted, then read the rows that depend on them."""

    async def save(self) -> None:
        """Write every change, set-based."""


class BatchProcessor(Generic[S]):
    """Processes batches of one source. A batch is one transaction:

    1. `dedup.before_locks` drops what was processed before;
    2. deliveries behind a dead letter of their scope are set aside;
    3. the repository locks and reads the aggregates of the others;
    4. `dedup.after_locks` drops what another process has processed meanwhile;
    5. the handlers run, one after the other, and the repository saves;
    6. faults, and what waits behind them, are dead-lettered.

    Works without a broker, so tests can pass records directly. `begun` and `ended` count the batches that a broker
    gave; they differ while one is in work.
    """

    def __init__(
        self, source: S, dedup: Dedup, open_repository: Callable[[UnitOfWork], Repository], context: Context
    ) -> None:
        self.source, self.dedup, self.open_repository, self.context = source, dedup, open_repository, context
        self.consumer = source.consumer
        self.begun = self.ended = 0

    async def handle(self, records: Sequence[Record]) -> None:
        """Commit the effect of every record or dead-letter it, before returning.

        Records of a partition take effect in the order of their offsets. Raises `Transient` when a dependency stays
        away for about 20 s; then the same batch may be given again.
        """
        ordered = sorted(records, key=lambda record: (record.partition, record.offset))
        await self.settle([found for record in ordered if (found := self.source.read(record))])

    async def settle(self, deliveries: Sequence[Delivery], until: float | None = None) -> None:
        """Commit each delivery's effect or dead-letter it, in order, before returning.

        Raises `Transient` after about 20 s of trying (or at `until` on the monotonic clock): committed effects stay,
        and the whole batch may be given again.
        """
        if not deliveries:
            return
        now, tasks = self.context.ports.monotonic, self.context.ports.tasks
        until = until or now() + BUDGET_S
        failures = 0
        while True:
            if failures and now() > until:
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
                await tasks.sleep(min(5.0, 0.05 * 2**failures) * self.context.ports.random.uniform(0.5, 1))

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
            async with self.context.unit(self.consumer) as uow:
                uow.spans = spans
                fresh = await self.dedup.before_locks(uow, deliveries)
                handled = await self._process(uow, fresh) if fresh else 0
        self.context.ports.crash_point("effect.after_commit_before_ack")
        HANDLED.labels(self.consumer).inc(handled)
        LAST_BATCH.labels(self.consumer).set_to_current_time()

    async def _process(self, uow: UnitOfWork, fresh: Sequence[Delivery]) -> int:
        """Run the handlers of the deliveries that can run, dead-letter the others; return how many ran."""
        scopes = {scope for delivery in fresh for scope in delivery.behind}
        table = uow.table(DeadLetterTable)
        runs, rejects, obsolete = _sort(fresh, await table.blocked(self.consumer, sorted(scopes)))
        repository = self.open_repository(uow)
        if runs:
            await repository.load([delivery.message for delivery in runs if delivery.message])
        confirmed = await self.dedup.after_locks(uow, fresh)
        runs = [delivery for delivery in runs if delivery.id in confirmed]
        rejects = [(delivery, scope) for delivery, scope in rejects if delivery.id in confirmed]
        if runs:
            await run_handlers(uow, repository, runs)
        if obsolete.scopes:
            shown = [(delivery, scope) for delivery, scope in obsolete.rejects if delivery.id in confirmed]
            if shown:
                await dead_letters.store(uow, shown)
            await table.replaced(self.consumer, sorted(obsolete.scopes))
        if rejects:
            await dead_letters.store(uow, rejects)
        return len(runs)


async def run_handlers(uow: UnitOfWork, repository: Repository, deliveries: Sequence[Delivery]) -> None:
    """Run the handler of each delivery on the loaded aggregates, in order, and save."""
    for delivery in deliveries:
        if delivery.handler and delivery.message:
            uow.handle(delivery.message)
            delivery.handler(repository, delivery.message)
    uow.handle(None)
    await repository.save()


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
