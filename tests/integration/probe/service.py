"""The probe's events, repository and handlers: the parts of a real service in their smallest form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contracts.envelope import Event
from services.kit.consumer.subscription import Subscription
from services.kit.errors import Unprocessable
from services.kit.transaction.message import DeadlineReached, Erased, Message
from services.kit.transaction.unit_of_work import UnitOfWork

IN, OUT = "probe.in.v1", "probe.out.v1"
MIGRATIONS = Path(__file__).parent / "migrations"


class Add(Event, topic=IN):
    """Adds `amount` to an account; `n` counts an account's events from 1. `pool` may be its key."""

    account: str
    n: int
    amount: int = 1
    pool: str = ""
    fail: str = ""
    pad: str = ""

    @property
    def key(self) -> str:
        return self.pool or self.account

    @property
    def subject(self) -> str:
        return self.account


class Noise(Event, topic=IN):
    """A known type that the probe has no handler for."""

    account: str

    @property
    def key(self) -> str:
        return self.account


class Echo(Event, topic=OUT):
    """Says that an amount was added."""

    account: str
    n: int

    @property
    def key(self) -> str:
        return self.account


MODELS: dict[str, type[Event]] = {model.TYPE: model for model in (Add, Noise, Echo)}
BROKEN: set[str] = {"unprocessable", "error", "save"}
"""Which `fail` values still fail: a test repairs the probe by taking one out."""


class ProbeBook:
    """The accounts that a transaction touches; a head row each."""

    def __init__(self, uow: UnitOfWork) -> None:
        self.uow = uow
        self.totals: dict[str, int] = {}
        self.effects: list[tuple[str, int, str, Any]] = []

    async def load(self, messages: Sequence[Message[Any]]) -> None:
        """Locks the accounts, in order."""
        names = sorted({message.subject for message in messages})
        await self.uow.conn.execute(
            "insert into account (name) select unnest($1::text[]) on conflict do nothing", names
        )
        rows = await self.uow.conn.fetch(
            "select name, total from account where name = any($1::text[]) order by name for update", names
        )
        self.totals = {row["name"]: row["total"] for row in rows}

    async def save(self) -> None:
        """Writes totals and effects."""
        await self.uow.conn.execute(
            "update account set total = t from unnest($1::text[], $2::bigint[]) as r(n, t) where name = n",
            list(self.totals),
            list(self.totals.values()),
        )
        if self.effects:
            await self.uow.conn.execute(
                "insert into effect (account, n, what, event_id) select a, n, w, e from "
                "unnest($1::text[], $2::bigint[], $3::text[], $4::uuid[]) with ordinality as r(a, n, w, e, o) "
                "order by o",
                *map(list, zip(*self.effects, strict=True)),
            )


def on_add(book: ProbeBook, message: Message[Add]) -> None:
    """Add and echo, or fail as the message demands."""
    add = message.data
    if add.fail in BROKEN:
        if add.fail == "unprocessable":
            raise Unprocessable("told to be unprocessable")
        if add.fail == "error":
            raise RuntimeError("told to fail")
        book.totals[add.account] = -1
        return
    book.totals[add.account] += add.amount
    book.effects.append((add.account, add.n, "add", message.id))
    book.uow.emit(Echo(account=add.account, n=add.n), part=str(add.n))


def on_due(book: ProbeBook, message: Message[DeadlineReached]) -> None:
    """Notes that a deadline fired."""
    due = message.data
    if due.kind in BROKEN:
        raise Unprocessable("told to be unprocessable")
    book.effects.append((due.subject, due.version, due.kind, message.id))


def on_erased(book: ProbeBook, message: Message[Erased]) -> None:
    """Notes that a key was erased."""
    book.effects.append((message.data.key, 0, "erased", message.id))


def subscription(*, by_key: bool = True) -> Subscription:
    """Return the probe's subscription."""
    return Subscription(IN, {Add: on_add, Erased: on_erased}, blocking_by_key=by_key)
