"""The statements that write dispatch's tables list the fields of the dataclasses, so that no column is forgotten."""

from __future__ import annotations

import re

import pytest

from services.dispatch.domain.recipient import Recipient
from services.dispatch.repository import rows, statements

JOB = set(rows.JOB_COLUMNS) | set(rows.SLOT_COLUMNS)
FIXED = {"id", "order", "pool", "reservation", "market_day", "community", "lines", "quote"}
"""Columns of a job or wave that never change after the row was inserted."""


def updated(statement: str) -> dict[str, str]:
    """The columns that a statement updates on conflict, each with its new value."""
    columns, values = re.findall(r"\(([^()]+)\)", statement.split("do update set")[1])
    return dict(zip(re.split(r",\s*", columns.strip()), re.split(r",\s*", values.strip()), strict=True))


@pytest.mark.parametrize(
    ("statement", "columns"),
    [
        (statements.JOB, JOB - FIXED),
        (statements.WAVE, set(rows.WAVE_COLUMNS) - FIXED),
        (statements.RECIPIENT, set(Recipient.__dataclass_fields__) - FIXED),
        (statements.CATALOG, set(rows.CatalogRow.__dataclass_fields__) - {"key"}),
    ],
    ids=["job", "wave", "recipient", "catalog"],
)
def test_every_field_that_may_change_is_updated(statement: str, columns: set[str]) -> None:
    found = updated(statement)
    blocked = found.pop("blocked", "null")
    assert blocked == "null", "any change of a wave unblocks it"
    assert found == {column: f"excluded.{column}" for column in columns}
