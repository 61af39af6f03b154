"""`halfday access log` against services that are played by a function, one of them away."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from deploy.cli import __main__ as cli
from deploy.cli import access_log

ROWS = {
    "orders": [("2026-05-01T08:00:00Z", "staff.a", "read order", ["address", "code"]), ("2026-05-01T10:00:00Z",) * 2],
    "dispatch": [("2026-05-01T09:00:00Z", "courier.c", "read route", ["address"])],
}


class Services:
    """Stands in for the client: pages of one row."""

    asked: list[tuple[str, dict[str, list[str]]]] = []
    away = ""

    def __init__(self, data: Path) -> None:
        self.asked.clear()

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *_: object) -> None: ...

    def each(self, call: Any) -> Any:
        answers = {service: call(service) for service in ("orders", "inventory", "dispatch") if service != self.away}
        return answers, {self.away: f"{self.away} does not answer"} if self.away else {}

    def request(self, service: str, method: str, path: str) -> dict[str, Any]:
        query = parse_qs(urlsplit(path).query)
        assert (method, urlsplit(path).path) == ("GET", "/v1/access-log")
        self.asked.append((service, query))
        rows = ROWS.get(service, [])
        at = int(query["cursor"][0])
        names = ("at", "subject", "action", "fields")
        page = [dict(zip(names, rows[at], strict=False)) for at in range(at, min(at + 1, len(rows)))]
        filled = [{"record": "order/1", "request": None, "action": "cut", "fields": []} | row for row in page]
        return {"accesses": filled, "next": at + 1 if at + 1 < len(rows) else None}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setattr(access_log, "OperatorApi", Services)

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["halfday", "access", "log", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        output = capsys.readouterr()
        return int(ended.value.code or 0), output.out, output.err

    return command


def test_the_rows_of_all_services_are_listed_by_time(run: Any) -> None:
    code, out, _ = run("order/1", "--subject", "staff.a", "--since", "2026-05-01T00:00:00+08:00")
    assert code == 0
    head, *rows = out.splitlines()
    assert "time 时间" in head
    assert [row.split()[2] for row in rows] == ["staff.a", "courier.c", "2026-05-01"]
    assert "address,code" in rows[0]
    _, query = Services.asked[0]
    assert {name: query[name] for name in ("record", "subject", "from")} == {
        "record": ["order/1"], "subject": ["staff.a"], "from": ["2026-05-01T00:00:00+08:00"],
    }  # fmt: skip


def test_a_service_that_is_away_is_named(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Services, "away", "dispatch")
    code, out, err = run("--json")
    found = json.loads(out)
    assert (code, len(found["accesses"]), found["missing"]) == (1, 2, {"dispatch": "dispatch does not answer"})
    assert "dispatch does not answer" in run()[2]
    assert err == ""


def test_no_rows(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Services, "each", lambda self, call: ({}, {}))
    assert run("order/2")[:2] == (0, "no rows (没有记录)\n")
