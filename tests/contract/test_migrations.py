"""Migrations that a rolling deploy survives: a process of the version before keeps writing to the migrated tables."""

import re

import pytest

from tests.stack import SERVICES

BEFORE_THE_RULE = {"104_privacy.sql", "005_messaging.sql", "107_waves.sql"}
ADDED = re.compile(r"add column (?:if not exists )?(\w+)([^,;]*)", re.I)


def added_and_required(sql: str) -> list[str]:
    """Return the columns that a migration adds to a table and forbids to be null."""
    return [name for name, definition in ADDED.findall(sql) if "not null" in definition.lower()]


@pytest.mark.parametrize("folder", ["kit", *SERVICES])
def test_an_added_column_may_be_null(folder, root):
    """Rows are written as JSON that names the fields of its version; columns that it does not name become null."""
    for path in sorted((root / "services" / folder / "migrations").glob("*.sql")):
        if path.name not in BEFORE_THE_RULE:
            up = path.read_text("utf-8").split("-- migrate:down")[0]
            assert added_and_required(up) == [], f"{path.name}: let the column be null; the field has the default"


def test_a_required_column_is_seen():
    sql = "alter table orders add column gift boolean not null default false, add column note text;"
    assert added_and_required(sql) == ["gift"]
