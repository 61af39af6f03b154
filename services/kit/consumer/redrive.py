"""Redrive: processes the dead letters of a scope again, in order, and unblocks the scope when all are done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.kit.consumer.dead_letters import DeadLetterTable, Head
from services.kit.consumer.delivery import reason
from services.kit.consumer.processor import BatchProcessor, run_handlers
from services.kit.database import is_transient
from services.kit.errors import Unprocessable
from services.kit.telemetry import tracing
from services.kit.transaction.unit_of_work import UnitOfWork

BATCH, LIMIT_S = 100, 3.0
"""Limits of a redrive: it is one request of an operator, and a scope may have thousands of records."""


@dataclass(frozen=True, slots=True)
class Redriven:
    """The result of a redrive: how many it processed, the error that stopped it, and whether time ran out (`more`)."""

    done: int
    error: str | None = None
    more: bool = False


async def redrive(processor: BatchProcessor[Any], scope: str) -> Redriven:
    """Process the scope's dead letters in order, in batches; unblock the scope when all are done.

    Stops at the first that fails again, and after about 3 s. Without dead letters it does nothing. Transient errors
    are raised.
    """
    now, open_unit = processor.context.ports.monotonic, processor.context.unit
    done, size, until = 0, BATCH, now() + LIMIT_S
    while True:
        if done and now() > until:
            return Redriven(done, more=True)
        heads: list[Head] = []
        try:
            with tracing.get().batch(processor.consumer) as spans:
                async with open_unit(processor.consumer) as uow:
                    uow.spans = spans
                    heads = await _first(uow, scope, size)
                    await _process_again(processor, uow, heads)
        except Exception as error:
            if is_transient(error) or not heads:
                raise
            if len(heads) > 1:
                size = 1  # to find the one that fails
                continue
            text = reason(error, heads[0].record.topic)
            async with open_unit(processor.consumer) as uow:
                await uow.table(DeadLetterTable).failed_again(heads[0].id, text)
            return Redriven(done, text)
        if not heads:
            return Redriven(done)
        done += len(heads)


async def _first(uow: UnitOfWork, scope: str, limit: int) -> list[Head]:
    """Return the first of the scope's queue under the scope's lock; an empty queue is unblocked."""
    table = uow.table(DeadLetterTable)
    if not await table.blocked(uow.consumer, [scope]):
        return []
    heads = await table.first(uow.consumer, scope, limit)
    if not heads:
        await table.unblock(uow.consumer, scope)
    return heads


async def _process_again(processor: BatchProcessor[Any], uow: UnitOfWork, heads: Sequence[Head]) -> None:
    deliveries = [found for head in heads if (found := processor.source.read(head.record))]
    if faults := [found.fault for found in deliveries if found.message is None]:
        raise Unprocessable(faults[0])
    if deliveries:
        repository = processor.open_repository(uow)
        await repository.load([delivery.message for delivery in deliveries if delivery.message])
        await run_handlers(uow, repository, deliveries)
    if heads:
        await uow.table(DeadLetterTable).remove([head.id for head in heads])
