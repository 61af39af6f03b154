"""A stack behind proxies, with its market and the handles that faults need."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from contracts.topics import ADMIN
from deploy.local.data.options import Options
from deploy.local.data.ports import Ports
from deploy.local.data.secrets import Secrets
from deploy.local.kafka import broker
from deploy.local.kafka.config import properties
from deploy.local.processes import restart
from deploy.local.stack import Stack
from tests.faults.chaos import SERVICES, Chaos
from tests.faults.history import HistoryEntry
from tests.faults.load import HOLD_S
from tests.faults.market import LENT, Market
from tests.faults.matrix.network import APIS, STORES, Network
from tests.faults.observer import Observer

INTERNAL_LISTENER = "kafka-internal"
"""The broker's internal listener, which the observer uses to bypass the proxies."""
LONGEST_DELAY_S = 0.5
"""Restart back-off in seconds: processes die on purpose here, so their restart is not delayed."""


@dataclass
class Environment:
    """State of one stack that lasts over its workloads.

    - `client_endpoints`: its endpoints.json, with the HTTP addresses replaced by those of the proxies.
    - `entries`: the operations of all finished workloads; `twice`: duplicate records in the topics so far.
    - `remaining`: stock left at each terminal, by item.
    - `scarce`: items that must be sold completely.
    - `ignored_subjects`: subjects that the checks leave out.
    - `poison_positions`: `topic/partition@offset` of the records that no service wrote.
    """

    data: Path
    stack: Stack
    network: Network
    chaos: Chaos
    observer: Observer
    market: Market
    client_endpoints: Mapping[str, Any]
    admin: Mapping[str, Any]
    entries: list[HistoryEntry] = field(default_factory=list)
    remaining: dict[str, dict[str, int]] = field(default_factory=dict)
    scarce: set[str] = field(default_factory=set)
    ignored_subjects: set[str] = field(default_factory=set)
    poison_positions: set[str] = field(default_factory=set)
    workloads: int = 0
    twice: int = 0

    def __post_init__(self) -> None:
        self.remaining = {terminal: dict(LENT) for terminal in self.market.terminals}

    def folder(self, kind: str) -> Path:
        """Return the folder with the instructions of service processes: `armed`, `held`, `newer`, `lives`."""
        return self.data / "matrix" / kind

    @property
    def ports(self) -> dict[str, int]:
        """The operations port of each process, by its name, and the others of the stack."""
        found: dict[str, int] = json.loads((self.data / "ports.json").read_text())
        return found

    def lives(self, name: str) -> list[str]:
        """Return the fault that each life of a process began with, the running one last; empty for none."""
        return (self.folder("lives") / name).read_text().splitlines()


@contextmanager
def open_environment(data: Path, market: Market) -> Iterator[Environment]:
    """A stack of its own, ready and without faults."""
    for kind in ("armed", "held", "newer", "lives"):
        (data / "matrix" / kind).mkdir(parents=True)
    known = Ports(data)
    ports = {name: known.get(name) for name in (*STORES, *APIS, INTERNAL_LISTENER)}
    with Network({name: ports[name] for name in (*STORES, *APIS)}) as network:
        replacements = {
            "replace": _address_replacements(ports, network),
            "settings": {"HALFDAY_HOLD_TTL_S": str(HOLD_S)},
        }
        (data / "matrix" / "network.json").write_text(json.dumps(replacements))
        advertised = _advertising(network.ports["kafka"])
        with (
            patch.object(broker, "properties", advertised),
            patch.object(restart, "LONGEST_DELAY", LONGEST_DELAY_S),
            Stack(data, Options(), program=lambda *who: _program(data, *who)) as stack,
        ):
            stack.wait_ready(90)
            found = stack.endpoints()
            observer = Observer(_internal(found["kafka"], ports))
            try:
                admin = _librdkafka(found["kafka"], ports, data)
                client_endpoints = _client_endpoints(found, network)
                yield Environment(data, stack, network, Chaos(data), observer, market, client_endpoints, admin)
            finally:
                observer.close()


def _program(data: Path, service: str, role: str) -> list[str]:
    return [sys.executable, "-m", "tests.faults.matrix.launcher", str(data), service, role]


def _address_replacements(ports: Mapping[str, int], network: Network) -> list[list[str]]:
    """Return (variable, address, proxy address) for each setting to change."""
    return [
        [variable, f"127.0.0.1:{ports[name]}", f"127.0.0.1:{network.ports[name]}"]
        for variable, name in (("HALFDAY_DATABASE_URL", "postgres"), ("HALFDAY_KAFKA_BOOTSTRAP", "kafka"))
    ]


def _advertising(port: int) -> Any:
    """Return broker properties that send clients to the proxy: the last of two equal keys counts."""

    def with_proxy_listener(logs: Path, listeners: Any, password: str) -> str:
        inside = f"INTERNAL://127.0.0.1:{listeners.internal}"
        return properties(logs, listeners, password) + f"advertised.listeners=CLIENT://127.0.0.1:{port},{inside}\n"

    return with_proxy_listener


def _internal(found: Mapping[str, Any], ports: Mapping[str, int]) -> dict[str, Any]:
    return {**found, "bootstrap": f"127.0.0.1:{ports[INTERNAL_LISTENER]}"}


def _librdkafka(found: Mapping[str, Any], ports: Mapping[str, int], data: Path) -> dict[str, Any]:
    """Return the settings of an admin client that bypasses the proxies."""
    return {
        "bootstrap.servers": _internal(found, ports)["bootstrap"],
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": ADMIN,
        "sasl.password": Secrets.load(data).kafka[ADMIN],
        "log_level": 0,
    }


def _client_endpoints(found: Mapping[str, Any], network: Network) -> dict[str, Any]:
    http = {service: f"http://127.0.0.1:{network.ports[f'{service}.http']}" for service in SERVICES}
    return {**found, "http": http}
