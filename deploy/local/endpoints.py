"""`endpoints.json`: where a running stack is, for people and programs."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts.topics import OBSERVER, SERVICES
from deploy.local.data.ports import Ports
from deploy.local.data.secrets import Secrets
from deploy.local.errors import StackError
from deploy.local.kafka.broker import Kafka
from deploy.local.postgres.server import Postgres

FILE = "endpoints.json"
# A machine's HTTP proxy has no business between us and 127.0.0.1.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def describe(
    kafka: Kafka, postgres: Postgres, ports: Ports, secrets: Secrets, pids: Mapping[str, int]
) -> dict[str, Any]:
    """The content of the file; `pids` maps process names to pids."""
    return {
        "version": 1,
        "kafka": {
            "bootstrap": kafka.bootstrap,
            "security": {
                "security_protocol": "SASL_PLAINTEXT",
                "sasl_mechanism": "SCRAM-SHA-512",
                "username": OBSERVER,
                "password": secrets.kafka[OBSERVER],
            },
        },
        "postgres": {service: postgres.url(service) for service in SERVICES},
        "http": {service: f"http://127.0.0.1:{ports.get(f'{service}.api')}" for service in SERVICES},
        "tokens": dict(secrets.tokens),
        "processes": [{"name": name, "pid": pid} for name, pid in pids.items()],
    }


def read(data: Path) -> dict[str, Any]:
    """The endpoints of the stack that runs on `data`; StackError when none does."""
    try:
        found: dict[str, Any] = json.loads((data / FILE).read_text())
    except FileNotFoundError:
        raise not_running(data) from None
    return found


def without_secrets(found: Mapping[str, Any]) -> dict[str, Any]:
    """The same without passwords and tokens: what may be shown on a terminal or in a log of CI."""
    kafka = {**found["kafka"], "security": {k: v for k, v in found["kafka"]["security"].items() if k != "password"}}
    databases = {service: _without_password(url) for service, url in found["postgres"].items()}
    shown = ("version", "http", "processes")
    return {**{name: found[name] for name in shown}, "kafka": kafka, "postgres": databases}


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    login, _, address = rest.rpartition("@")
    return f"{scheme}://{login.partition(':')[0]}@{address}"


def not_running(data: Path) -> StackError:
    """What to say of a folder on which no stack runs."""
    return StackError(f"no stack runs on {data}; start one with: ./halfday up --data '{data}'")


def readiness(data: Path) -> dict[str, str]:
    """Each service process of the stack on `data` to `ready`, `ready, but ...` with what is degraded, or to why it
    isn't ready, in its own words.
    """
    ports: dict[str, int] = json.loads((data / "ports.json").read_text())
    names = [process["name"] for process in read(data)["processes"]]
    return {name: _ask(ports[name]) for name in names if "." in name}


def waiting(data: Path) -> str:
    """What the stack on `data` still waits for, in words; empty when every service process is ready."""
    if not (data / FILE).exists():
        return "Kafka and PostgreSQL are starting"
    return "; ".join(f"{name}: {why}" for name, why in readiness(data).items() if not is_ready(why))


def degraded(data: Path) -> str:
    """What does not work in service processes of the stack on `data` that are ready, in words; empty if all does."""
    found = readiness(data).items()
    return "; ".join(f"{name}: {state}" for name, state in found if is_ready(state) and state != "ready")


def is_ready(state: str) -> bool:
    """Whether a state of `readiness` is that of a process that is ready."""
    return state.split(",")[0] == "ready"


def _ask(port: int) -> str:
    try:
        with _direct.open(f"http://127.0.0.1:{port}/ready", timeout=3) as answer:
            degraded = json.loads(answer.read()).get("degraded")
        return f"ready, but {'; '.join(degraded)}" if degraded else "ready"
    except urllib.error.HTTPError as refusal:
        return " ".join(refusal.read().decode(errors="replace").split())[:300] or f"HTTP {refusal.code}"
    except OSError:
        return "does not answer"
