"""`halfday access log`: lists who read personal data and who acted by hand, over all services of a running stack."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from cyclopts import Parameter

from deploy.cli.operator_api import OperatorApi

Row = dict[str, Any]
_COLUMNS = {"at": "time 时间", "subject": "subject 主体", "action": "action 操作", "record": "record 记录"}
_COLUMNS |= {"fields": "shown 显示内容", "request": "request 请求"}


def log(
    record: str | None = None,
    /,
    *,
    subject: str | None = None,
    since: str | None = None,
    until: str | None = None,
    data: Path = Path(".halfday"),
    as_json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object.")] = False,
) -> int:
    """List who read personal data, and who acted by hand (谁看过个人信息, 谁做过人工操作).

    A row is an answer that showed a name and phone (person), an address or
    position, a code, or words of a buyer or courier (note); or an act by hand,
    such as cut, release, redrive or discard. No row can be changed. Rows hold ids
    only, so they stay when a person is erased. Exit code 1 when a service does not
    answer.

    Example: halfday access log order/0198f2c1-7c3e-7d52-9b1e-0d6a3f6c9a11

    Parameters
    ----------
    record
        Rows about one record (记录): order/ID, wave/ID, job/ID, campaign/ID, join/ID, dead-letter/ID.
    subject
        Rows of one subject (主体), as `halfday access list` shows it.
    since
        Rows from this time on (起始时间), such as 2026-05-01T08:00:00+08:00.
    until
        Rows before this time (截止时间).
    data
        Folder of a running stack.
    """
    wanted = {"record": record, "subject": subject, "from": since, "to": until}
    query = {name: value for name, value in wanted.items() if value is not None}
    with OperatorApi(data) as api:
        answers, missing = api.each(lambda service: _rows(api, service, query))
    found = sorted((row for rows in answers.values() for row in rows), key=lambda row: str(row["at"]))
    if as_json:
        print(json.dumps({"accesses": found, "missing": missing}, ensure_ascii=False))
    else:
        _print(found)
        for service, error in missing.items():
            print(f"without {service}: {error}", file=sys.stderr)
    return 1 if missing else 0


def _rows(api: OperatorApi, service: str, query: dict[str, str]) -> list[Row]:
    found: list[Row] = []
    cursor: int | None = 0
    while cursor is not None:
        page = api.request(service, "GET", f"/v1/access-log?{urlencode({**query, 'limit': 500, 'cursor': cursor})}")
        found += ({"service": service, **row} for row in page["accesses"])
        cursor = page["next"]
    return found


def _print(found: list[Row]) -> None:
    if not found:
        print("no rows (没有记录)")
        return
    rows = [[_text(row[column]) for column in _COLUMNS] for row in found]
    widths = [max(map(len, column)) for column in zip(_COLUMNS.values(), *rows, strict=True)]
    for cells in [list(_COLUMNS.values()), *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(value)
    try:
        return f"{datetime.fromisoformat(value).astimezone():%Y-%m-%d %H:%M:%S}"
    except (TypeError, ValueError):
        return value or ""
