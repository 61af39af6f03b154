"""The exceptions of the kit, by what the caller should do about them.

| Class | Exceptions | Consumer | HTTP |
|---|---|---|---|
| transient: the same may succeed later | what `database.is_transient` knows | retried, then redelivered | 503 |
| a dependency is away | `Transient`, `NotReady`, `PublishFailed`, `CommitUnknown` | retried or redelivered | 503 |
| overload: nothing was begun | `Overloaded` | - | 429 |
| permanent: no retry can help | `Unprocessable`, `TooLarge`, `UnusableId` | dead-lettered at once | 413, 422 |
| configuration: an operator has to act | `UnusableSettings`, `MigrationFailed` | the process ends | - |
| a part has stalled | `Stalled` | the process ends and is started again | - |
| programmer error | any other, in tests `InjectedFault` | tried three times, then dead-lettered | 500 |

503 and 429 carry `Retry-After`; the request may be repeated with the same key. A 500 and a process that ends are logged
with the traceback.
An HTTP answer that is an error is a `services.kit.http.problems.Problem`.
"""

from __future__ import annotations

from collections.abc import Sequence


class Transient(Exception):
    """A dependency stayed unavailable beyond the retry budget; the batch will be redelivered."""


class CommitUnknown(ConnectionError):
    """The connection was lost at COMMIT: the transaction is either wholly there or wholly absent. Repeat the request
    with the same key or id."""


class NotReady(RuntimeError):
    """Kafka can't be used yet; the text says why."""


class PublishFailed(Exception):
    """Not every row was acknowledged in time; `acked` are those that were, as (row id, partition, offset). The rest may
    or may not be in the log. `too_large`: the broker refused a batch because of one record.

    The publisher can't be used again: after a failed batch its partition answers out of sequence for ever
    (https://github.com/aio-libs/aiokafka/issues/1017).
    """

    def __init__(self, text: str, acked: Sequence[tuple[int, int, int]] = (), *, too_large: bool = False) -> None:
        super().__init__(text)
        self.acked = list(acked)
        self.too_large = too_large


class Overloaded(Exception):
    """Too many items wait already; nothing was begun for this one, so it may be repeated later."""


class Unprocessable(Exception):
    """Raised by a handler for a record that no retry can help; it is dead-lettered at once with this text."""


class TooLarge(Unprocessable):
    """An event with a record that the broker would refuse; its transaction wrote nothing."""


class UnusableId(ValueError):
    """The id that a client gave can't be used; the text says why and what to send."""


class UnusableSettings(ValueError):
    """The environment doesn't make settings; the text names each variable and what is wrong with it."""


class MigrationFailed(RuntimeError):
    """A migration did not apply; the text is the migration tool's output."""


class Stalled(RuntimeError):
    """A part of the process does no work though there is some; the text names it. Only a new process helps."""


class InjectedFault(RuntimeError):
    """Raised on purpose at a crash point."""
