"""The doctor: what it says of a machine and of a data folder, and that it changes nothing."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from contracts.state import contract_state
from deploy.local.commands import doctor_data, doctor_machine
from deploy.local.data import contract_record
from deploy.local.data.files import write_private
from deploy.local.data.lock import DataLock
from deploy.local.errors import StackError
from deploy.local.postgres import server
from services.kit.clock import Segment


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a stopped stack, as far as the doctor looks at it."""
    for name in ("kafka/data/formatted", "postgres/data/PG_VERSION"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(server.version() + "\n")
        for folder in list((tmp_path / name).parents)[: name.count("/")]:
            folder.chmod(0o700)
    write_private(tmp_path / contract_record.FILE, json.dumps(contract_state()))
    write_private(tmp_path / "secrets.json", "{}")
    return tmp_path


def test_a_machine_that_has_everything() -> None:
    said = {what: check() for what, check in doctor_machine.CHECKS.items() if what not in ("memory", "disk")}
    assert "packages" in said["wheels"]
    assert said["postgresql"].startswith(server.version())


@pytest.mark.parametrize(
    ("check", "place", "value", "words"),
    [
        (
            "memory",
            (psutil, "virtual_memory"),
            lambda: type("M", (), {"available": 1e9}),
            "1.0 GB free; the stack needs",
        ),
        ("disk", (shutil, "disk_usage"), lambda _: type("D", (), {"free": 1e9}), "so free some"),
        ("open files", (resource, "getrlimit"), lambda _: (256, 256), "may open 256 files"),
        ("ports", (doctor_machine, "is_free"), lambda _: False, "is the loopback interface up"),
        ("clock", (time, "time"), lambda: 0.0, "in the past"),
        ("wheels", (doctor_machine, "version"), lambda _: "0.0.1", "differ from their locked versions, such as"),
        ("cache", (os, "access"), lambda *_: False, "set HALFDAY_CACHE"),
    ],
)
def test_what_a_machine_lacks_is_a_sentence(
    check: str, place: tuple[Any, str], value: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*place, value)
    with pytest.raises(StackError, match=words):
        doctor_machine.CHECKS[check]()


def test_a_healthy_folder_and_that_nothing_is_changed(data: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in data.rglob("*"))
    said = {what: check(data) for what, check in doctor_data.CHECKS.items()}
    assert said["state"].startswith(f"secrets, topics and databases (PostgreSQL {server.version()}) exist")
    assert said["data clock"] == "real time"
    assert "not running; start it with: ./halfday up --data" in said["stack"]
    assert sorted((path, path.stat().st_mtime_ns) for path in data.rglob("*")) == before


def broken(check: str, data: Path) -> str:
    """Return the text of a failed check."""
    with pytest.raises(StackError) as lacking:
        doctor_data.CHECKS[check](data)
    return str(lacking.value)


@pytest.mark.parametrize(
    ("name", "bits", "closed"),
    [
        ("secrets.json", 0o644, "600"), ("endpoints.json", 0o604, "600"), ("kafka/server.properties", 0o640, "600"),
        ("postgres/password", 0o644, "600"), ("logs", 0o755, "700"), ("kafka", 0o711, "700"),
        ("postgres/data", 0o750, "700"), ("", 0o755, "710"),
    ],
)  # fmt: skip
def test_what_others_can_read(name: str, bits: int, closed: str, data: Path) -> None:
    path = data / name
    if "." in name or name.endswith("password"):
        write_private(path, "{}")
    else:
        path.mkdir(0o700, exist_ok=True)
    doctor_data.folder(data)
    path.chmod(bits)
    assert f"run: chmod {closed} '{path}'" in broken("data", data)


def test_a_folder_that_others_can_write_in(data: Path) -> None:
    data.chmod(0o777)
    assert "other users can write in" in broken("data", data)


def test_a_folder_of_another_contract_state(data: Path) -> None:
    (data / contract_record.FILE).unlink()
    assert "has data from before contract states were recorded; continue with the version" in broken("state", data)


def test_parts_that_are_lost(data: Path) -> None:
    (data / "kafka/data/formatted").unlink()
    assert broken("state", data).startswith("topics missing; start the stack, then publish them again")
    (data / "secrets.json").unlink()
    assert "secrets and topics missing; restore a backup" in broken("state", data)
    (data / "postgres/data/PG_VERSION").unlink()
    assert doctor_data.state(data) == "empty; the first start creates it"


def test_databases_of_another_version(data: Path) -> None:
    (data / "postgres/data/PG_VERSION").write_text("12\n")
    assert "are of PostgreSQL 12" in broken("state", data)


def test_a_clock_that_went_back_and_one_that_runs_fast(data: Path) -> None:
    morning = datetime(2026, 11, 7, 4, 30, tzinfo=UTC)
    (data / "clock.json").write_bytes(Segment(morning, morning, 600, latest=morning).to_json())
    assert doctor_data.data_clock(data) == "business time, 2026-11-07 04:30 UTC, driven by a demo day"
    os.utime(data / "secrets.json", (time.time() + 3600,) * 2)
    assert "clock was set back" in broken("data clock", data)


def test_ports_that_another_program_took(data: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        (data / "ports.json").write_text(json.dumps({"kafka": other.getsockname()[1]}))
        assert "other programs use those of kafka (" in doctor_data.data_ports(data)
    assert doctor_data.data_ports(data) == "1 reserved and free"


def test_a_stack_that_is_not_ready_says_why(data: Path) -> None:
    lock = DataLock(data)
    assert "Kafka and PostgreSQL are starting (logs:" in broken("stack", data)
    (data / "ports.json").write_text(json.dumps({"orders.api": 1}))
    (data / "endpoints.json").write_text(json.dumps({"processes": [{"name": "orders.api", "pid": 1}]}))
    assert "not ready: orders.api: does not answer" in broken("stack", data)
    lock.release()
