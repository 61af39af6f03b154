"""The whole stack as one object: starts it, keeps it running, stops it in order."""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contracts.topics import ACCESS, ADMIN
from deploy.local import endpoints, services
from deploy.local.data import contract_record
from deploy.local.data.clock import clock_environment, resume
from deploy.local.data.files import write_private
from deploy.local.data.lock import DataLock
from deploy.local.data.options import Options
from deploy.local.data.ports import Ports
from deploy.local.data.secrets import Secrets
from deploy.local.door import process as door
from deploy.local.door.caddyfile import DoorSettings
from deploy.local.errors import StackError
from deploy.local.kafka.broker import Kafka
from deploy.local.kafka.topics import provision
from deploy.local.kafka.users import add_users
from deploy.local.postgres.server import Postgres
from deploy.local.processes.log_rotation import LogRotation
from deploy.local.processes.restart import Restartable, Restarter


class Interrupted(StackError):
    """The stack received a stop signal while it started."""


OTP_FILE = "otp-codes.jsonl"
"""File of a data folder with the codes that access would send to phones."""


def _people(front: DoorSettings) -> str:
    """Return the address of the door for people's devices: on the local network, where it listens there."""
    return front.listeners[-1].url


class _Broker:
    """Kafka with its topics and permissions: a start on an empty folder creates them again."""

    def __init__(self, kafka: Kafka, secrets: Secrets) -> None:
        self._kafka = kafka
        self._secrets = secrets
        self.wait, self.stop = kafka.wait, kafka.stop

    @property
    def pid(self) -> int:
        """The broker's pid."""
        return self._kafka.pid

    def start(self) -> None:
        """Return when the broker is up and has its topics."""
        self._kafka.start()
        try:
            add_users(self._kafka.client(), self._secrets.kafka)
            provision(self._kafka.bootstrap, ADMIN, self._secrets.kafka[ADMIN])
        except BaseException:
            self._kafka.stop()
            raise


class Stack:
    """Kafka, PostgreSQL, the service processes and the front door of one data folder.

    Only one stack at a time uses a folder: a second one raises StackError. `say` receives progress lines for people,
    from any thread. All processes end with this one, even when it is killed; leftovers of a crash are ended first.
    `program` replaces the services.
    """

    def __init__(
        self,
        data: Path,
        options: Options | None = None,
        *,
        say: Callable[[str], None] = lambda _: None,
        program: services.Command = services.service_command,
    ) -> None:
        self.data = data.absolute()
        self._options = options or Options()
        self._say = say
        self._program = program
        self._interrupted = threading.Event()
        self._writing = threading.Lock()
        self._doors: list[Restarter] = []
        self._services: list[Restarter] = []
        self._stores: list[Restarter] = []
        self._lock: DataLock | None = None
        self._logs: LogRotation | None = None
        self._describe: Callable[[dict[str, int]], dict[str, Any]] = lambda _: {}

    def start(self) -> None:
        """Return when Kafka and PostgreSQL answer and every service process was started.

        On any error everything is stopped before it is raised. A folder with data of another contract state is a
        StackError.
        """
        self._lock = DataLock(self.data)
        self._logs = LogRotation(self.data / "logs")
        (self.data / endpoints.FILE).unlink(missing_ok=True)  # of a run that crashed
        try:
            contract_record.check_and_record(self.data)
            self._launch()
            for restarter in (*self._stores, *self._services, *self._doors):
                while not self._done(restarter):
                    self._interrupted.wait(0.05)
            self._publish()
        except BaseException:
            self.stop()
            raise

    def wait_ready(self, timeout: float = 60) -> None:
        """Return when every service process is ready. Raises StackError with the reasons after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while waiting := endpoints.waiting(self.data):
            if self._interrupted.wait(0.1):
                raise Interrupted("stopped while the services became ready")
            if time.monotonic() > deadline:
                raise StackError(f"not ready after {timeout:.0f} s: {waiting} (logs: {self.data / 'logs'})")

    def tell(self, line: str) -> None:
        """Pass a line to `say`; ignores a closed terminal."""
        with contextlib.suppress(OSError):
            self._say(line)

    def run(self) -> None:
        """Block until `interrupt`."""
        while not self._interrupted.wait(3600):
            pass

    def interrupt(self) -> None:
        """Make `start`, `wait_ready` and `run` end soon; safe in a signal handler."""
        self._interrupted.set()

    def stop(self) -> None:
        """Stop the front door, the services, then Kafka and PostgreSQL; on return no process is left. May be called
        twice.
        """
        for group in (self._doors, self._services, self._stores):
            stoppers = [threading.Thread(target=restarter.stop) for restarter in group]
            for stopper in stoppers:
                stopper.start()
            for stopper in stoppers:
                stopper.join()
        self._doors, self._services, self._stores = [], [], []
        if self._logs:
            self._logs.stop()
            self._logs = None
        if self._lock:
            (self.data / endpoints.FILE).unlink(missing_ok=True)
            self._lock.release()
            self._lock = None

    def endpoints(self) -> dict[str, Any]:
        """Return the current content of `endpoints.json`."""
        return endpoints.read(self.data)

    def __enter__(self) -> "Stack":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch(self) -> None:
        """Start everything at once: the services wait for their databases and the broker themselves."""
        secrets = Secrets.load(self.data)
        ports = Ports(self.data, self._options.port_base)
        kafka = Kafka(self.data, secrets.kafka, ports)
        postgres = Postgres(self.data, secrets.postgres, ports)
        if not self._options.driven:
            resume(self.data)
        clock = clock_environment(self.data)
        front = door.settings_of(self.data, ports, services.upstreams(ports), self._options.lan)
        pending: list[tuple[str, Restartable]] = []
        for name, service, role in services.instances(self._options):
            environment = services.environment(name, service, kafka, postgres, ports, secrets)
            if service == ACCESS:
                environment |= {"HALFDAY_DOOR": _people(front), "HALFDAY_OTP_FILE": str(self.data / OTP_FILE)}
            pending.append((name, services.Service(name, self._program(service, role), environment | clock, self.data)))
        self._describe = lambda pids: endpoints.describe(kafka, postgres, ports, secrets, pids, front)
        stores: list[tuple[str, Restartable]] = [("kafka", _Broker(kafka, secrets)), ("postgres", postgres)]
        self._stores = [self._restarter(name, process) for name, process in stores]
        self._services = [self._restarter(name, process) for name, process in pending]
        self._doors = [self._restarter("door", door.Door(self.data, front))]

    def _restarter(self, name: str, process: Restartable) -> Restarter:
        return Restarter(name, process, changed=self._publish, say=self.tell)

    def _done(self, restarter: Restarter) -> bool:
        """Return whether its first start has ended; raise its error."""
        if self._interrupted.is_set():
            raise Interrupted("stopped while starting")
        if restarter.started.done():
            restarter.started.result()
        return restarter.started.done()

    def _publish(self) -> None:
        """Rewrite `endpoints.json`, once every process was started at least once."""
        with self._writing:
            restarters = [*self._services, *self._stores, *self._doors]
            if self._doors and all(r.started.done() and not r.started.exception() for r in restarters):
                pids = {restarter.name: restarter.process.pid for restarter in restarters}
                write_private(self.data / endpoints.FILE, json.dumps(self._describe(pids), indent=1))
