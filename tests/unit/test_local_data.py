"""Contents of a data folder: ports, secrets, clock, and the process that has it locked."""

import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.local.data import clock, lock, ports
from deploy.local.data.options import parse_workers
from deploy.local.data.ports import Ports
from deploy.local.data.secrets import Secrets
from deploy.local.errors import StackError
from services.kit.clock import Clock


def test_random_ports_are_kept_and_stay_out_of_the_range_of_clients(tmp_path: Path) -> None:
    first = Ports(tmp_path)
    given = {name: first.get(name) for name in ("kafka", "postgres", "orders.api")}
    assert len(set(given.values())) == 3
    assert all(ports.LOWEST <= port < ports.HIGHEST < 32_768 for port in given.values())
    again = Ports(tmp_path)
    assert {name: again.get(name) for name in given} == given


def test_a_kept_port_that_another_program_took_is_replaced(tmp_path: Path) -> None:
    kept = Ports(tmp_path).get("kafka")
    with socket.socket() as other:
        other.bind(("127.0.0.1", kept))
        other.listen()
        assert Ports(tmp_path).get("kafka") != kept


def test_ports_count_up_from_a_base_and_a_taken_one_is_named(tmp_path: Path) -> None:
    base = next(port for port in range(14_000, 14_900) if all(ports.is_free(port + more) for more in range(3)))
    counted = Ports(tmp_path, base)
    assert [counted.get(name) for name in ("kafka", "postgres", "kafka")] == [base, base + 1, base]
    with socket.socket() as other:
        other.bind(("127.0.0.1", base + 2))
        other.listen()
        with pytest.raises(StackError, match=f"port {base + 2} is in use"):
            counted.get("orders.api")
    with pytest.raises(StackError, match="invalid port 70000"):
        Ports(tmp_path, 70_000).get("kafka")


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    made = Secrets.load(tmp_path)
    assert Secrets.load(tmp_path) == made
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    assert {"admin", "observer", "orders", "inventory", "dispatch", "access"} == set(made.kafka)
    every = [*made.kafka.values(), *made.postgres.values(), *made.tokens.values(), made.quote_key]
    every += [made.access_pepper, made.access_key, made.payment_secret, made.capability_key, made.member_key]
    assert len(set(every)) == len(every) == 21
    assert made.digests()["buyer"] == hashlib.sha256(made.tokens["buyer"].encode()).hexdigest()


def test_a_folder_of_an_older_version_keeps_its_secrets_and_gets_those_that_it_lacks(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    Secrets.load(tmp_path)
    older = json.loads(file.read_text())
    for mapping in ("kafka", "postgres"):
        del older[mapping]["access"]
    del (
        older["access_pepper"],
        older["access_key"],
        older["payment_secret"],
        older["capability_key"],
        older["member_key"],
    )
    file.write_text(json.dumps(older))
    made = Secrets.load(tmp_path)
    assert made == Secrets.load(tmp_path)
    now = json.loads(file.read_text())
    assert now["kafka"] == older["kafka"] | {"access": made.kafka["access"]}
    assert now["tokens"] == older["tokens"]
    assert len(made.access_key) == 64


def test_business_time_is_real_until_a_day_is_played_and_then_kept(tmp_path: Path) -> None:
    assert clock.clock_environment(tmp_path) == {}
    assert clock.saved_segment(tmp_path) is None
    clock.resume(tmp_path)
    assert clock.clock_environment(tmp_path) == {}
    start = datetime(2026, 11, 7, 4, 30, tzinfo=UTC)
    clock.freeze_at(tmp_path, start)
    assert clock.clock_environment(tmp_path) == {"HALFDAY_CLOCK": f"file:{tmp_path}/clock.json"}
    assert Clock(clock.saved_segment(tmp_path)).now() == start


def test_a_clock_whose_driver_is_gone_goes_on_as_fast_as_life_from_where_it_stopped(tmp_path: Path) -> None:
    start = datetime(2026, 11, 7, 4, 30, tzinfo=UTC)
    clock.freeze_at(tmp_path, start)
    clock.resume(tmp_path)
    kept = clock.saved_segment(tmp_path)
    assert kept is not None
    assert (kept.start, kept.speed, kept.latest) == (start, 1.0, None)
    clock.resume(tmp_path)
    assert clock.saved_segment(tmp_path) == kept


def test_a_damaged_clock_is_named(tmp_path: Path) -> None:
    (tmp_path / "clock.json").write_text("{}")
    with pytest.raises(StackError, match=r"clock\.json is damaged"):
        clock.saved_segment(tmp_path)


def test_a_held_folder_refuses_a_second_stack_in_words(tmp_path: Path) -> None:
    first = lock.DataLock(tmp_path / "data")
    assert lock.owner(tmp_path / "data") == os.getpid()
    with pytest.raises(StackError, match=rf"already runs on .*process {os.getpid()}.*halfday down"):
        lock.DataLock(tmp_path / "data")
    first.release()
    assert lock.owner(tmp_path / "data") is None
    lock.DataLock(tmp_path / "data").release()


def test_a_killed_holder_leaves_the_folder_free(tmp_path: Path) -> None:
    code = "import sys, pathlib; from deploy.local.data.lock import DataLock; h = DataLock(pathlib.Path(sys.argv[1]))"
    code += "; print('held', flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    assert lock.owner(tmp_path) == other.pid
    other.kill()
    other.communicate()
    assert lock.owner(tmp_path) is None


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="can't be used as data folder"):
        lock.DataLock(tmp_path / "file" / "data")


def test_nobody_to_stop_is_no_error(tmp_path: Path) -> None:
    assert lock.stop_owner(tmp_path / "never made") is False


def test_workers_are_counted_by_service() -> None:
    assert parse_workers("") == {}
    assert parse_workers("orders=2,dispatch=3") == {"orders": 2, "dispatch": 3}


@pytest.mark.parametrize("text", ["orders", "orders=0", "orders=7", "orders=x", "kafka=2", "orders=2;dispatch=1"])
def test_wrong_workers_are_refused_in_words(text: str) -> None:
    with pytest.raises(StackError, match="SERVICE=N"):
        parse_workers(text)


def test_ports_json_is_what_readiness_reads(tmp_path: Path) -> None:
    port = Ports(tmp_path).get("orders.worker")
    assert json.loads((tmp_path / "ports.json").read_text()) == {"orders.worker": port}
