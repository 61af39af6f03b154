"""`endpoints.json`: the addresses of a running stack, for people and programs."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts.topics import DEPLOYED, OBSERVER
from deploy.local.data.ports import Ports
from deploy.local.data.secrets import Secrets
from deploy.local.door.caddyfile import DoorSettings
from deploy.local.door.trust import fingerprint
from deploy.local.errors import StackError
from deploy.local.kafka.broker import Kafka
from deploy.local.postgres.server import Postgres

FILE = "endpoints.json"
# Requests to 127.0.0.1 must not go through the machine's HTTP proxy.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def describe(
    kafka: Kafka, postgres: Postgres, ports: Ports, secrets: Secrets, pids: Mapping[str, int], front: DoorSettings
) -> dict[str, Any]:
    """Return the content of the file; `pids` maps process names to pids."""
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
        "postgres": {service: postgres.url(service) for service in DEPLOYED},
        "http": {service: f"http://127.0.0.1:{ports.get(f'{service}.http')}" for service in DEPLOYED},
        "door": front.listeners[0].url,
        "lan": _lan(front),
        "tokens": dict(secrets.tokens),
        "operations": {name: f"http://127.0.0.1:{ports.get(name)}" for name in pids if is_service(name)},
        "processes": [{"name": name, "pid": pid} for name, pid in pids.items()],
    }


def _lan(front: DoorSettings) -> dict[str, str] | None:
    """Return the addresses for devices on the local network, and the fingerprint of the certificate that they trust."""
    if front.trust is None:
        return None
    return {
        "url": front.listeners[1].url,
        "trust": f"http://{front.trust.bind}:{front.trust.port}/",
        "fingerprint": fingerprint(front),
    }


def is_service(process: str) -> bool:
    """Return whether a process is one of a service: those have an operations port."""
    return process not in {"kafka", "postgres", "door"}


def read(data: Path) -> dict[str, Any]:
    """Return the endpoints of the stack that runs on `data`. Raises StackError if none runs."""
    try:
        found: dict[str, Any] = json.loads((data / FILE).read_text())
    except FileNotFoundError:
        raise not_running(data) from None
    return found


def without_secrets(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the endpoints without passwords and tokens, for a terminal or a CI log."""
    kafka = {**found["kafka"], "security": {k: v for k, v in found["kafka"]["security"].items() if k != "password"}}
    databases = {service: _without_password(url) for service, url in found["postgres"].items()}
    shown = ("version", "door", "lan", "http", "operations", "processes")
    return {**{name: found[name] for name in shown}, "kafka": kafka, "postgres": databases}


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    login, _, address = rest.rpartition("@")
    return f"{scheme}://{login.partition(':')[0]}@{address}"


def not_running(data: Path) -> StackError:
    """Return the error for a folder without a running stack."""
    return StackError(f"no stack runs on {data}; start one with: ./halfday up --data '{data}'")


def readiness(data: Path) -> dict[str, str]:
    """Return for each service process and the front door `ready`, `ready, but ...` with the degraded parts, or the
    reason why it is not ready.
    """
    ports: dict[str, int] = json.loads((data / "ports.json").read_text())
    names = [process["name"] for process in read(data)["processes"]]
    found = {name: _readiness_of(ports[name]) for name in names if is_service(name)}
    return found | {name: _door_answers(ports[name]) for name in names if name == "door"}


def waiting(data: Path) -> str:
    """Return what the stack on `data` still waits for, as text; empty when every service process is ready."""
    if not (data / FILE).exists():
        return "Kafka and PostgreSQL are starting"
    return "; ".join(f"{name}: {why}" for name, why in readiness(data).items() if not is_ready(why))


def degraded(data: Path) -> str:
    """Return the degraded parts of ready service processes, as text; empty if there are none."""
    found = readiness(data).items()
    return "; ".join(f"{name}: {state}" for name, state in found if is_ready(state) and state != "ready")


def is_ready(state: str) -> bool:
    """Return whether a state of `readiness` means ready."""
    return state.split(",")[0] == "ready"


def _door_answers(port: int) -> str:
    try:
        with _direct.open(f"http://127.0.0.1:{port}/", timeout=3):
            return "ready"
    except OSError as error:  # also another answer than 200
        return f"does not answer: {error}"


def _readiness_of(port: int) -> str:
    try:
        with _direct.open(f"http://127.0.0.1:{port}/ready", timeout=3) as answer:
            degraded = json.loads(answer.read()).get("degraded")
        return f"ready, but {'; '.join(degraded)}" if degraded else "ready"
    except urllib.error.HTTPError as refusal:
        return " ".join(refusal.read().decode(errors="replace").split())[:300] or f"HTTP {refusal.code}"
    except OSError:
        return "does not answer"
