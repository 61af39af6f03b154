"""The local stack as a whole: its file, its restarts, its end."""

import hashlib
import json
import os
import signal
import ssl
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from confluent_kafka.admin import AdminClient

from contracts.topics import DEPLOYED, TOPICS
from deploy.local.data.options import Options
from deploy.local.errors import StackError
from deploy.local.processes.child import wait_until
from deploy.local.services import ROOT
from deploy.local.stack import Stack
from tests.system.standin import command

SERVICES = ("orders", "inventory", "dispatch")
NAMES = {f"{service}.{role}" for service in SERVICES for role in ("api", "worker")} | {
    "access", "kafka", "postgres", "door",
}  # fmt: skip

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with stand-ins for the services, in a folder with a space in its name."""
    stack = Stack(
        tmp_path_factory.mktemp("half day"),
        Options(workers={"orders": 2}, lan="127.0.0.2"),
        program=command,
    )
    with stack:
        stack.wait_ready()
        yield stack


def pids(endpoints: dict[str, Any]) -> dict[str, int]:
    return {process["name"]: process["pid"] for process in endpoints["processes"]}


def observer(endpoints: dict[str, Any]) -> AdminClient:
    kafka = endpoints["kafka"]
    security = {name.replace("_", "."): value for name, value in kafka["security"].items()}
    login = {"sasl.username": security.pop("username"), "sasl.password": security.pop("password")}
    return AdminClient({"bootstrap.servers": kafka["bootstrap"], "log_level": 0, **security, **login})


def environment(endpoints: dict[str, Any], service: str) -> dict[str, str]:
    with urllib.request.urlopen(endpoints["http"][service] + "/env", timeout=10) as answer:
        found: dict[str, str] = json.load(answer)
        return found


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def halfday(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


async def test_the_file_says_where_everything_is(running: Stack) -> None:
    file = running.data / "endpoints.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = json.loads(file.read_text())
    assert list(found) == ["version", "kafka", "postgres", "http", "door", "lan", "tokens", "operations", "processes"]
    assert set(found["tokens"]) == {"operator", "terminal", "courier", "leader", "buyer"}
    assert set(pids(found)) == NAMES | {"orders.worker.1"}
    assert all(psutil.pid_exists(pid) for pid in pids(found).values())
    for service in DEPLOYED:
        conn = await asyncpg.connect(found["postgres"][service])
        assert await conn.fetchval("select current_user || '/' || current_database()") == f"{service}/{service}"
        assert await conn.fetchval("select rolsuper from pg_roles where rolname = current_user") is False
        await conn.close()


def test_one_door_for_this_machine_and_one_with_tls_for_the_network(running: Stack) -> None:
    found = running.endpoints()
    lan = found["lan"]
    assert lan["url"].startswith("https://127.0.0.2:")
    with urllib.request.urlopen(lan["trust"] + "halfday-ca.crt", timeout=10) as answer:
        pem = answer.read().decode()
    assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest().hex(":").upper() == lan["fingerprint"]
    trusting = ssl.create_default_context(cadata=pem)
    for url in (found["door"], lan["url"]):
        for service in DEPLOYED:
            with urllib.request.urlopen(f"{url}/api/{service}/v1/x", timeout=10, context=trusting) as answer:
                assert json.load(answer)["HALFDAY_INSTANCE"].startswith(f"{service}.")
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"{url}/api/{service}/metrics", timeout=10, context=trusting)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(lan["url"].replace("https://127.0.0.2", "http://127.0.0.1"), timeout=10)


def test_the_observer_sees_every_topic_but_the_private_one(running: Stack) -> None:
    seen = observer(running.endpoints()).list_topics(timeout=20).topics
    assert set(seen) == {topic.name for topic in TOPICS if not topic.private}
    assert all(len(seen[topic.name].partitions) == topic.partitions for topic in TOPICS if not topic.private)


def test_a_service_is_told_its_own_secrets_only(running: Stack) -> None:
    found = running.endpoints()
    told = {service: environment(found, service) for service in SERVICES}
    assert told["orders"]["HALFDAY_KAFKA_USERNAME"] == "orders"
    assert told["orders"]["HALFDAY_DATABASE_URL"] == found["postgres"]["orders"]
    assert told["orders"]["HALFDAY_INSTANCE"] == "orders.api.0"
    assert [service for service in SERVICES if "HALFDAY_QUOTE_KEY" in told[service]] == ["dispatch"]
    assert [service for service in SERVICES if "HALFDAY_CAPABILITY_KEY" in told[service]] == ["orders"]
    told["access"] = environment(found, "access")
    assert [one for one, settings in told.items() if "HALFDAY_ACCESS_KEY" in settings] == ["access"]
    assert told["access"]["HALFDAY_DOOR"] == found["lan"]["url"]
    assert told["access"]["HALFDAY_INSTANCE"] == "access.0"
    digests = {role: hashlib.sha256(token.encode()).hexdigest() for role, token in found["tokens"].items()}
    assert json.loads(told["inventory"]["HALFDAY_TOKENS"]) == digests
    everything = json.dumps(told)
    assert not [role for role, token in found["tokens"].items() if token in everything]


def test_no_secret_stands_in_a_process_list_or_log(running: Stack) -> None:
    kept = json.loads((running.data / "secrets.json").read_text())
    secrets = [value for part in kept.values() for value in (part.values() if isinstance(part, dict) else [part])]
    secrets.append((running.data / "postgres" / "password").read_text())
    shown = "".join(" ".join(psutil.Process(pid).cmdline()) for pid in pids(running.endpoints()).values())
    shown += "".join(log.read_text() for log in (running.data / "logs").glob("*.log"))
    assert "kafka.Kafka" in shown
    assert not [secret for secret in secrets if secret in shown]


def test_a_second_stack_on_the_folder_is_refused_and_harms_nothing(running: Stack) -> None:
    before = pids(running.endpoints())
    with pytest.raises(StackError, match="already runs on"):
        Stack(running.data).start()
    assert pids(running.endpoints()) == before
    assert not any(gone(pid) for pid in before.values())


@pytest.mark.parametrize("name", ["inventory.api", "orders.worker.1", "kafka", "postgres", "door"])
async def test_what_is_killed_comes_back_and_the_file_follows(running: Stack, name: str) -> None:
    before = pids(running.endpoints())
    os.kill(before[name], signal.SIGKILL)
    assert wait_until(lambda: pids(running.endpoints())[name] != before[name], 60)
    after = running.endpoints()
    assert {other for other in before if pids(after)[other] != before[other]} == {name}
    running.wait_ready()
    assert len(observer(after).list_topics(timeout=20).topics) == len(TOPICS) - 1
    await (await asyncpg.connect(after["postgres"]["orders"])).close()


async def test_a_killed_supervisor_leaves_no_process_and_loses_nothing(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-m", "tests.system.supervised", tmp_path],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "ready\n"
    made = json.loads((tmp_path / "endpoints.json").read_text())
    conn = await asyncpg.connect(made["postgres"]["orders"])
    await conn.execute("create table kept as select 42 as answer")
    conn.terminate()
    first.kill()
    first.communicate()
    assert wait_until(lambda: all(gone(pid) for pid in pids(made).values()), 20)

    with Stack(tmp_path, program=command) as again:
        found = again.endpoints()
        for part in ("kafka", "postgres", "http", "door", "tokens"):
            assert found[part] == made[part]
        conn = await asyncpg.connect(found["postgres"]["orders"])
        assert await conn.fetchval("select answer from kept") == 42
        await conn.close()
        assert len(observer(found).list_topics(timeout=20).topics) == len(TOPICS) - 1


@pytest.mark.timeout(900)
def test_up_status_logs_and_down_with_the_real_services(tmp_path: Path) -> None:
    data = tmp_path / "data"
    try:
        up = halfday("up", "--data", data, "--detach", "--json")
        assert up.returncode == 0, up.stderr
        assert set(pids(json.loads(up.stdout))) == NAMES
        kept = json.loads((data / "endpoints.json").read_text())
        assert not [token for token in kept["tokens"].values() if token in up.stdout]
        assert kept["kafka"]["security"]["password"] not in up.stdout
        assert halfday("status", "--data", data).returncode == 0
        for service in DEPLOYED:
            with pytest.raises(urllib.error.HTTPError, match="401"):  # of the service: the request had no token
                urllib.request.urlopen(f"{kept['door']}/api/{service}/v1/parked", timeout=10)
        assert "already runs" in halfday("up", "--data", data).stderr
        assert "Kafka Server started" in halfday("logs", "kafka", "--data", data, "--lines", "1000").stdout
    finally:
        down = halfday("down", "--data", data)
    assert down.returncode == 0
    assert all(gone(pid) for pid in pids(json.loads(up.stdout)).values())
    assert not (data / "endpoints.json").exists()
    assert halfday("status", "--data", data).returncode == 1
