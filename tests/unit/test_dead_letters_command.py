"""`halfday dead-letters` against services that are played by one small HTTP server, one of them away."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.cli import __main__ as cli

RECORD: dict[str, Any] = {
    "id": 7,
    "consumer": "orders.inventory.stock.v1",
    "scope": "pool a",
    "attempts": 1,
    "parked_at": "2026-11-07T08:00:00+08:00",
    "error": "no such order",
    "headers": {"ce_type": "market.inventory.stock-reserved.v1"},
    "discarded_at": None,
    "why": None,
}


class Service(BaseHTTPRequestHandler):
    """HTTP stand-in: orders has one dead letter, the other services none; requests are kept in `asked`."""

    asked: list[tuple[str, str, Any]] = []
    failing, holding, rounds = False, True, 1

    def _answer(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        assert self.headers["Authorization"] == "Bearer o"
        self.asked.append((self.command, self.path, body))
        mine = self.path.startswith("/orders")
        path = "/" + self.path.partition("?")[0].split("/", 2)[2]
        result = {
            "consumer": RECORD["consumer"],
            "done": 0 if self.failing else 1,
            "error": "again" * self.failing or None,
            "more": mine and path.endswith("redrive") and Service.rounds > 1,
        }
        answers: dict[str, Any] = {
            "GET /v1/parked": {"parked": [RECORD] if mine and self.holding else [], "next": None},
            "GET /v1/parked/7": RECORD,
            "POST /v1/parked:redrive": {
                "scope": "pool a",
                "results": [result] if mine and body == {"scope": "pool a"} else [],
            },
            "POST /v1/parked/7:discard": {},
        }
        found = answers.get(f"{self.command} {path}")
        content = json.dumps(found or {"detail": "parked record 8 is not known"}).encode()
        Service.rounds -= bool(result["more"])
        self.send_response(200 if found is not None else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def halfday(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """`halfday("list")`: code, stdout and stderr of `halfday dead-letters list` on a folder with dispatch down."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(Service, "asked", [])
    monkeypatch.chdir(tmp_path)

    def run(*words: str, away: str = "", data: str = ".halfday") -> tuple[int, str, str]:
        base = f"http://127.0.0.1:{server.server_port}"
        urls = {name: f"{base}/{name}" for name in ("orders", "inventory", "dispatch")}
        urls |= {away: "http://127.0.0.1:1"} if away else {}
        Path(data).mkdir(exist_ok=True)
        Path(data, "endpoints.json").write_text(json.dumps({"http": urls, "tokens": {"operator": "o"}}))
        more = () if data == ".halfday" else ("--data", data)
        monkeypatch.setattr(sys, "argv", ["halfday", "dead-letters", *words, *more])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    yield run
    server.shutdown()
    server.server_close()


def test_the_list_shows_all_services_and_what_to_do_next(halfday: Any) -> None:
    code, out, err = halfday("list")
    assert code == 0
    assert out.splitlines()[0].split() == ["id", "consumer", "scope", "attempts", "parked_at", "error"]
    assert out.splitlines()[1].startswith("orders/7  orders.inventory.stock.v1  pool a  1 ")
    assert err == "show the first: ./halfday dead-letters show orders/7\n"
    assert [path for _, path, _ in Service.asked] == [
        f"/{name}/v1/parked?cursor=0&limit=500" for name in ("orders", "inventory", "dispatch")
    ]


def test_a_service_that_is_away_hides_no_other(halfday: Any) -> None:
    code, out, err = halfday("list", away="dispatch")
    assert code == 1
    assert "orders/7" in out
    assert "dispatch does not answer" in err
    code, out, err = halfday("list", "--json", away="inventory")
    found = json.loads(out)
    assert (code, [one["id"] for one in found["parked"]], list(found["missing"])) == (1, ["orders/7"], ["inventory"])


def test_nothing_parked_is_said_only_when_all_were_asked(halfday: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert halfday("list", away="orders")[:2] == (1, "")
    monkeypatch.setattr(Service, "holding", False)
    assert halfday("list") == (0, "no dead letters\n", "")


def test_a_record_is_shown_with_commands_to_copy(halfday: Any) -> None:
    code, out, err = halfday("show", "orders/7", data="half day")
    assert code == 0
    assert "no such order" in out
    assert "market.inventory.stock-reserved.v1" in out
    assert "./halfday dead-letters redrive 'pool a' --data 'half day'\n" in err
    assert json.loads(halfday("show", "orders/7", "--json")[1])["scope"] == "pool a"


def test_a_redrive_says_what_happened(halfday: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert halfday("redrive", "pool a")[:2] == (0, "orders.inventory.stock.v1: 1 processed\n")
    assert ("POST", "/dispatch/v1/parked:redrive", {"scope": "pool a"}) in Service.asked
    assert halfday("redrive", "pool a", away="dispatch")[0] == 1
    monkeypatch.setattr(Service, "rounds", 3)
    assert halfday("redrive", "pool a")[:2] == (0, "orders.inventory.stock.v1: 3 processed\n"), "asked until no more"
    monkeypatch.setattr(Service, "failing", True)
    assert halfday("redrive", "pool a")[:2] == (1, "orders.inventory.stock.v1: 0 processed; then again\n")
    code, out, _ = halfday("redrive", "pool a", "--json")
    assert (code, json.loads(out)["results"][0]["error"]) == (1, "again")
    _, out, _ = halfday("redrive", "orders/7")
    assert out == "no dead letters in scope orders/7; that is a record id, expected its scope\n"


def test_a_record_is_given_up_with_a_reason_only(halfday: Any) -> None:
    assert halfday("discard", "orders/7")[0] == 2
    assert Service.asked == []
    code, out, err = halfday("discard", "orders/7", "--why", "a test")
    assert (code, out) == (0, "orders/7 is discarded\n")
    assert "./halfday dead-letters redrive 'pool a'" in err
    assert Service.asked[0] == ("POST", "/orders/v1/parked/7:discard", {"why": "a test"})


@pytest.mark.parametrize(
    ("id", "words"), [("7", "invalid record id"), ("kafka/7", "invalid record id"), ("orders/8", "not known")]
)
def test_a_wrong_id_is_a_sentence(id: str, words: str, halfday: Any) -> None:
    code, out, err = halfday("show", id)
    assert (code, out) == (1, "")
    assert words in err
