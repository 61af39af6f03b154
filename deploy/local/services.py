"""Service processes of a stack."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from contracts.topics import ACCESS, DEPLOYED, SERVICES
from deploy.local.data.options import Options
from deploy.local.data.ports import Ports
from deploy.local.data.secrets import Secrets
from deploy.local.kafka.broker import Kafka
from deploy.local.postgres.server import Postgres
from deploy.local.processes import child
from deploy.local.processes.managed import Managed

ROOT = child.ROOT
# A service drains for at most 20 s before it gives up by itself.
GRACE = 25.0

SIMULATOR = "simulator"
"""The payment provider that every stack on one machine knows."""

Command = Callable[[str, str], list[str]]


def service_command(service: str, role: str) -> list[str]:
    """Return the command of a service process; tests replace it."""
    return [sys.executable, "-m", f"services.{service}", role]


class Service(Managed):
    """One service process. It waits for Kafka and PostgreSQL by itself."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], data: Path) -> None:
        super().__init__(name, data, grace=GRACE)
        self._command, self._environment = command, environment

    def start(self) -> None:
        """Start the process; return as soon as it exists."""
        self.launch(self._command, {**child.with_our_code(os.environ), **self._environment})


def instances(options: Options) -> list[tuple[str, str, str]]:
    """Return (process name, service, role) of every service process; a second worker is `orders.worker.1`.

    Access is one process, named like the service.
    """
    found = []
    for service in SERVICES:
        found.append((f"{service}.api", service, "api"))
        for number in range(options.workers.get(service, 1)):
            found.append((f"{service}.worker" + (f".{number}" if number else ""), service, "worker"))
    return [*found, (ACCESS, ACCESS, "all")]


def upstreams(ports: Ports) -> dict[str, str]:
    """Return service to `host:port` of its API, for the front door."""
    return {service: f"127.0.0.1:{ports.get(f'{service}.http')}" for service in DEPLOYED}


def environment(
    name: str, service: str, kafka: Kafka, postgres: Postgres, ports: Ports, secrets: Secrets
) -> dict[str, str]:
    """Return the environment of process `name` of `service`: addresses, and only its own secrets."""
    http = {} if ".worker" in name else {"HALFDAY_HTTP_PORT": str(ports.get(f"{service}.http"))}
    own = {"HALFDAY_QUOTE_KEY": secrets.quote_key} if service == "dispatch" else {}
    if name == "orders.api":
        simulator = {"kind": "standard-webhooks", "secret": secrets.payment_secret}
        own = {
            "HALFDAY_CAPABILITY_KEY": secrets.capability_key,
            "HALFDAY_MEMBER_KEY": secrets.member_key,
            "HALFDAY_PAYMENTS": json.dumps({SIMULATOR: simulator}),
        }
    if service == ACCESS:
        own = {"HALFDAY_ACCESS_PEPPER": secrets.access_pepper, "HALFDAY_ACCESS_KEY": secrets.access_key}
    return {
        "PYTHONUNBUFFERED": "1",
        "HALFDAY_DATABASE_URL": postgres.url(service),
        "HALFDAY_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "HALFDAY_KAFKA_USERNAME": service,
        "HALFDAY_KAFKA_PASSWORD": secrets.kafka[service],
        "HALFDAY_INSTANCE": f"{name}.0" if name.endswith((".api", ".worker", ACCESS)) else name,
        "HALFDAY_TOKENS": json.dumps(secrets.digests()),
        "HALFDAY_HEALTH_PORT": str(ports.get(name)),
        **http,
        **own,
    }
