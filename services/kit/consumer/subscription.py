"""Consumes a topic: a batch is one transaction, and each event takes effect once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from faststream.exceptions import NackMessage
from faststream.kafka import KafkaBroker
from faststream.middlewares import AckPolicy

from contracts.envelope import Envelope, Event, Unreadable, read_envelope
from services.kit.compat import return_batches_at_once
from services.kit.consumer.delivery import SCOPE_LIMIT, Delivery, Handler, clean, is_compacted, reason, unreadable
from services.kit.consumer.processor import BatchProcessor, Repository
from services.kit.errors import Transient
from services.kit.ids import quick
from services.kit.settings import Settings
from services.kit.telemetry.metrics import UNKNOWN
from services.kit.transaction.message import ERASED, DeadlineReached, Erased, Message, Record
from services.kit.transaction.unit_of_work import UnitOfWork

MAX_RECORDS = 500
Models = Mapping[str, type[Event]]
"""All event types by their name in `ce_type`."""


@dataclass(frozen=True)
class Subscription:
    """A topic (without prefix) and a service's handlers for it, by the class of the data.

    Records of the topic's other types are skipped without being parsed. A type that this version does not know is
    skipped when its sender says that this service does not read it, else dead-lettered without blocking its subject.
    `blocking_by_key`: a record without a readable subject blocks its key; False where many subjects share a
    key (a stock pool), there it blocks nothing. `open_repository`: the aggregates of its handlers where they are not
    the service's own.
    """

    topic: str
    handlers: Mapping[type[Event] | type[DeadlineReached] | type[Erased], Handler] = field(hash=False)
    blocking_by_key: bool = True
    open_repository: Callable[[UnitOfWork], Repository] | None = None


class TopicSource:
    """The records of a subscription of a service, of which those with a handler become deliveries."""

    def __init__(self, service: str, subscription: Subscription, models: Models) -> None:
        self.consumer = f"{service}.{subscription.topic}"
        self.subscription = subscription
        self._service = service
        self._models = {type: model for type, model in models.items() if subscription.topic == model.TOPIC}
        self._passed_over = {type for type, model in self._models.items() if model not in subscription.handlers}

    def read(self, record: Record) -> Delivery | None:
        """Return the record as a delivery: ready to run, or with its fault; None for a type without a handler here."""
        if record.headers.get("ce_type") in self._passed_over and record.value is not None:
            return None
        by_key = self.subscription.blocking_by_key
        try:
            envelope = read_envelope(record.headers)
            if not 0 < len(envelope.subject) <= SCOPE_LIMIT:
                raise Unreadable(f"ce_subject has {len(envelope.subject)} characters")
        except Unreadable as wrong:
            return unreadable(record, str(wrong)[:300], by_key=by_key)
        envelope = envelope._replace(id=quick(envelope.id))
        if record.value is not None and envelope.type not in self._models:
            return self._unknown(envelope, record)
        key = clean(record.key) if by_key and record.key else envelope.subject
        waits = frozenset((envelope.subject, key))
        try:
            data = self._data(envelope, record)
        except Exception as wrong:  # any error of the decoder
            fault = reason(wrong, record.topic)
            return Delivery(record, envelope.id, envelope.subject, waits, fault=fault)
        handler = self.subscription.handlers.get(type(data))
        if handler is None:  # a tombstone of something that this service never stored
            return None
        message = Message(envelope, data, record)
        return Delivery(record, envelope.id, envelope.subject, waits, message, handler)

    def _unknown(self, envelope: Envelope, record: Record) -> Delivery | None:
        """Return the delivery for a type of a newer version. Its dead letter has the type as scope, so later records of
        its subject are processed.

        On a compacted topic the scope is its subject, where the next record that can be parsed replaces it: processed
        later, it would bring an older state back.
        """
        is_ours = envelope.readers is None or self._service in envelope.readers.split(",")
        UNKNOWN.labels(self.consumer, "parked" if is_ours else "passed over").inc()
        if not is_ours:
            return None
        scope = envelope.type[:SCOPE_LIMIT] or "no type"
        fault = f"no type {envelope.type!r} is known on this topic; upgrade this service, then redrive the scope"[:300]
        if is_compacted(record.topic):
            scope = envelope.subject
        return Delivery(record, envelope.id, scope, frozenset({scope}), fault=fault)

    def _data(self, envelope: Envelope, record: Record) -> Event | Erased:
        if record.value is not None:
            return self._models[envelope.type].model_validate_json(record.value)
        if envelope.type != ERASED and Erased not in self.subscription.handlers:
            raise ValueError("the value is null, but this topic has no tombstones")
        return Erased(clean(record.key or b""))


def subscribe(broker: KafkaBroker, processor: BatchProcessor[TopicSource], settings: Settings) -> Any:
    """Pass the batches of the topic to the processor. Return the subscriber (one group, one topic); its consumer knows
    the positions.

    Offsets are committed only after `handle` returned, and after an error the whole batch is redelivered.
    """
    topic = processor.source.subscription.topic
    subscriber = broker.subscriber(
        settings.prefix + topic,
        batch=True,
        group_id=settings.prefix + processor.consumer,
        group_instance_id=settings.instance or None,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.NACK_ON_ERROR,
        session_timeout_ms=10_000,
        max_poll_interval_ms=60_000,
        no_reply=True,
        parser=_parse,
        decoder=_decode,
    )

    return_batches_at_once(subscriber, MAX_RECORDS)

    @subscriber
    async def on_batch(records: Sequence[Any]) -> None:
        processor.begun += 1
        try:
            await processor.handle([_record(topic, record) for record in records])
        except Transient as away:
            # FastStream has no delay: after a bare nack the batch comes back over a thousand times a second.
            await asyncio.sleep(random.uniform(0.5, 1.0))
            raise NackMessage from away
        except Exception:
            await asyncio.sleep(random.uniform(0.5, 1.0))
            raise
        finally:
            processor.ended += 1

    return subscriber


async def _parse(records: tuple[Any, ...], original: Any) -> Any:
    """Return FastStream's own message around the raw records. Its parser decodes header bytes and fails on bad ones, so
    it gets none (https://github.com/ag2ai/faststream/issues/2458).
    """
    bare = type(records[0])(**{**vars(records[0]), "headers": ()})
    message = await original((bare,))
    message.raw_message = records
    return message


async def _decode(message: Any, _original: Any) -> Any:
    return message.raw_message


def _record(topic: str, raw: Any) -> Record:
    headers = {name: clean(value or b"") for name, value in raw.headers}
    return Record(topic, raw.partition, raw.offset, raw.key, raw.value, headers)
