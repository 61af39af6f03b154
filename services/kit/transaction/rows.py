"""Writes rows as a set: any number of rows of one table in one statement."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from datetime import datetime
from operator import attrgetter
from types import NoneType
from typing import Any, Generic, TypeVar, get_args, get_type_hints
from uuid import UUID

from services.kit.transaction.outbox import Connection

R = TypeVar("R")
_TYPES = {bool: "boolean", int: "bigint", str: "text", UUID: "uuid", datetime: "timestamptz"}


class RowStatement(Generic[R]):
    """A statement that writes rows which are dataclasses, in one round trip.

        SALES = RowStatement(Sale, "insert into sale (id, voided) select id, voided from {rows} on conflict ...")
        await SALES.write(conn, sales)

    `{rows}` is a table of all the rows: a column for each field (of nested dataclasses too), one for each property in
    `computed` with its SQL type, and `n`, the number of the row from 1. Types follow from the annotations: bool, int,
    str and its enums, UUID, datetime, and each of them with None; fields of other types are left out.

    Each column goes over the wire as one binary array. For thousands of rows this takes the server a third less time
    than one JSON array does with `jsonb_populate_recordset`, which is shorter to write for tables that change seldom.
    """

    def __init__(self, row: type[R], sql: str, **computed: str) -> None:
        columns = dict(_columns(row))
        types = [kind for _, kind in columns.values()] + list(computed.values())
        arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(types, 1))
        names = ", ".join(f'"{name}"' for name in [*columns, *computed])
        self.sql = sql.format(rows=f"unnest({arrays}) with ordinality as r({names}, n)")
        self._values = attrgetter(*(path for path, _ in columns.values()), *computed)

    async def write(self, conn: Connection, rows: Collection[R]) -> None:
        """Execute the statement for the rows; do nothing where there are none."""
        if rows:
            await conn.execute(self.sql, *(list(column) for column in zip(*map(self._values, rows), strict=True)))


def _columns(row: Any, prefix: str = "") -> Iterator[tuple[str, tuple[str, str]]]:
    hints = get_type_hints(row)
    for field in dataclasses.fields(row):
        hint, path = hints[field.name], prefix + field.name
        if dataclasses.is_dataclass(hint):
            yield from _columns(hint, f"{path}.")
        elif kind := _sql_type(hint):
            yield field.name, (path, kind)


def _sql_type(hint: Any) -> str | None:
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not NoneType]
    if not all(isinstance(kind, type) for kind in kinds):
        return None
    return next((name for known, name in _TYPES.items() if all(issubclass(kind, known) for kind in kinds)), None)
