"""The access log: who read a name, an address or a code, and who acted by hand. Rows are appended and never changed.

A row names a record as `KIND/ID`, such as `order/0190f3a2-...`, and holds no personal data itself, so it stays when a
person is erased. Whole months are dropped once they are older than `HALFDAY_ACCESS_LOG_DAYS`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from contracts.values import Principal
from services.kit.database import Reader
from services.kit.transaction.unit_of_work import CORRELATION, UnitOfWork


class Shown(StrEnum):
    """A class of personal data in an answer: name and phone; address or position; the code of a delivery or pickup; the
    words of a buyer or courier.
    """

    PERSON = "person"
    ADDRESS = "address"
    CODE = "code"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Access:
    """A row of the log. `at` is real time, `request` the id of the request."""

    id: int
    at: datetime
    tenant: str
    subject: str
    kind: str
    action: str
    record: str
    fields: list[str]
    request: str | None


@dataclass(frozen=True, slots=True)
class AccessFilter:
    """The wanted rows of a tenant: of one record, of one subject, from a time on, before a time; None for all."""

    tenant: str
    record: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class AccessLogTable:
    """The rows of the access log."""

    def __init__(self, conn: Reader) -> None:
        self.conn = conn

    async def append(
        self,
        caller: Principal,
        action: str,
        records: Mapping[str, Collection[Shown]],
        request: str | None,
        *,
        hourly: bool = False,
    ) -> None:
        """Append a row for each record, in one statement. With `hourly` a record is left out of which the subject has
        read the same fields within the last hour.
        """
        await self.conn.execute(
            "insert into access_log (tenant, subject, kind, action, record, fields, request) "
            "select $1, $2, $3, $4, n.record, f, $5 from unnest($6::text[], $7::text[]) as n(record, shown), "
            "string_to_array(shown, ',') as f where not $8 or not exists (select from access_log as old "
            "where old.record = n.record and old.subject = $2 and old.action = $4 and old.fields @> f "
            "and old.at > now() - interval '1 hour')",
            caller.tenant,
            caller.subject,
            caller.kind,
            action,
            request,
            list(records),
            [",".join(sorted(shown)) for shown in records.values()],
            hourly,
        )

    async def listing(self, wanted: AccessFilter, after: int, limit: int) -> Sequence[Access]:
        """Return rows in the order in which they were appended, beginning after the id `after`."""
        found = await self.conn.fetch(
            "select id, at, tenant, subject, kind, action, record, fields, request from access_log "
            "where tenant = $1 and ($2::text is null or record = $2) and ($3::text is null or subject = $3) "
            "and at >= coalesce($4::timestamptz, '-infinity') "
            "and at < coalesce($5::timestamptz, 'infinity') and id > $6 order by id limit $7",
            wanted.tenant,
            wanted.record,
            wanted.subject,
            wanted.since,
            wanted.until,
            after,
            limit,
        )
        return [Access(**row) for row in found]


async def log_reading(
    uow: UnitOfWork,
    caller: Principal,
    view: str,
    shown: Mapping[Any, Collection[Shown]],
    *,
    kind: str = "order",
    hourly: bool = False,
) -> None:
    """Record which personal data of which records, by id, a view such as `route` shows to the caller, in the
    transaction that read it; records of which it shows none are left out. Use `hourly` for an answer that clients poll.
    """
    if records := {f"{kind}/{id}": fields for id, fields in shown.items() if fields}:
        await uow.table(AccessLogTable).append(caller, f"read {view}", records, CORRELATION.get(), hourly=hourly)


async def log_act(uow: UnitOfWork, caller: Principal, action: str, record: str) -> None:
    """Record an act by hand, in the transaction of its effect."""
    await uow.table(AccessLogTable).append(caller, action, {record: ()}, CORRELATION.get())


async def prepare(conn: Reader, days: int) -> None:
    """Make the log's months up to the month after next, and drop those that ended more than `days` days ago.
    Repeatable.
    """
    await conn.fetchval("select prepare_access_log(make_interval(days => $1))", days)
