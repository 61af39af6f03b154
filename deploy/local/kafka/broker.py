"""A whole Apache Kafka as one child process."""

import base64
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from contracts.topics import ADMIN
from deploy.local.data.files import write_private
from deploy.local.data.ports import Ports
from deploy.local.errors import StackError
from deploy.local.kafka import aot_cache
from deploy.local.kafka.config import Listeners, check_users, properties
from deploy.local.kafka.jars import class_path
from deploy.local.kafka.java import find_java
from deploy.local.processes import child as process

LOG4J = Path(__file__).with_name("log4j2.properties")
# C1 only and the serial collector halve the start time and cost nothing at the load of one machine.
FLAGS = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
READY = "Kafka Server started"
CAUSES = {
    "Address already in use": "one of its ports is in use by another program",
    "Failed to acquire lock": "another Kafka uses the same data",
    "No space left on device": "the disk is full",
    "have failed": "its log folder failed; is the disk full?",
    "SASL authentication": "its admin password differs from the one it was made with",
}


class Kafka:
    """One KRaft broker with all its files under `data`; restartable after `stop`, `kill` or its own end.

    `users` maps SCRAM user names to passwords and must include `admin`, the super user; they are fixed when the data
    folder is first formatted. Creating the object ends a broker that a crashed run left on this folder.
    """

    def __init__(self, data: Path, users: Mapping[str, str], ports: Ports | None = None) -> None:
        check_users(users)
        self._users = dict(users)
        self._home = (data / "kafka").absolute()
        if "," in str(self._home):
            raise StackError(f"Kafka can't keep its data in {self._home}: the path has a comma")
        self._log = data.absolute() / "logs" / "kafka.log"
        self._pidfile = self._home / "pid"
        self._config = self._home / "server.properties"
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        process.kill_leftover(self._pidfile)
        ports = ports or Ports(data)
        self._listeners = Listeners(ports.get("kafka"), ports.get("kafka-internal"), ports.get("kafka-controller"))
        self._child: process.Child | None = None
        self._background: process.Child | None = None

    @property
    def bootstrap(self) -> str:
        """Address for clients, SASL_PLAINTEXT with SCRAM-SHA-512; the same for the life of the object."""
        return f"127.0.0.1:{self._listeners.client}"

    @property
    def pid(self) -> int:
        """The pid of the running (or last) broker process."""
        return self._running().pid

    def client(self, user: str = ADMIN) -> dict[str, str | int | float | bool]:
        """Return librdkafka settings for `user`."""
        return {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": self._users[user],
            "log_level": 0,
        }

    def start(self, timeout: float = 60) -> None:
        """Return when the broker answers a metadata request.

        Fetches missing jars first. Raises StackError, with no process left, when the broker does not answer within
        `timeout` seconds of its launch.
        """
        java, jars = find_java(), class_path()
        cache = aot_cache.cache_file(java, jars, FLAGS)
        logs = self._home / "data"
        write_private(self._config, properties(logs, self._listeners, self._users[ADMIN]))
        if not (logs / "formatted").exists():
            self._format([str(java.path), *FLAGS, *aot_cache.flags_for(cache)], jars, logs)
        flags = [*FLAGS, *self._speedup(cache), f"-Dlog4j2.configurationFile={LOG4J}"]
        command: list[str | Path] = [java.path, *flags, "-cp", ":".join(map(str, jars)), "kafka.Kafka", self._config]
        self._child = process.Child(command, log=self._log, pidfile=self._pidfile)
        if not process.wait_until(self._answers, timeout):
            self._child.stop()
            raise StackError(f"Kafka did not start within {timeout:.0f} s; see {self._log}")
        self._background = self._background or aot_cache.build_in_background(java, cache, self._home, self._log)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until the broker process ends; return its exit code, or None after `timeout` seconds."""
        return self._running().wait(timeout)

    def stop(self) -> None:
        """Stop the broker, with SIGKILL after 10 s; on return the process has ended. Harmless when not running."""
        for child in (self._background, self._child):
            if child:
                child.stop()

    def kill(self) -> None:
        """Send SIGKILL, as a crash would; on return the process has ended. `start` recovers."""
        self._running().stop(9)

    def _running(self) -> process.Child:
        if self._child is None:
            raise StackError("Kafka was not started")
        return self._child

    def _answers(self) -> bool:
        child = self._running()
        if child.poll() is not None:
            printed = child.output(20_000)
            cause = next((text for sign, text in CAUSES.items() if sign in printed), f"see {self._log}")
            raise StackError(f"Kafka did not start: {cause}")
        if READY not in child.output(1_000_000):
            return False
        try:
            AdminClient(self.client()).list_topics(timeout=2)
        except KafkaException:
            return False
        return True

    def _speedup(self, cache: Path) -> list[str]:
        return aot_cache.flags_for(cache)

    def _format(self, java: list[str], jars: list[Path], logs: Path) -> None:
        """Create an empty log folder with the SCRAM users. The marker is written last: an incomplete format is
        repeated.
        """
        shutil.rmtree(logs, ignore_errors=True)
        # An id may begin with "-", which the tool would read as an option.
        cluster = "h" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
        command = [*java[1:], "-cp", ":".join(map(str, jars))]
        command += ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._config)]
        for name, password in self._users.items():
            command += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
        # Passwords must not be in a process list, so the arguments are passed in a file.
        arguments = self._home / "format.args"
        write_private(arguments, "\n".join('"{}"'.format(word.replace("\\", "\\\\")) for word in command))
        try:
            done = process.run([java[0], f"@{arguments}"])
        finally:
            arguments.unlink()
        if done.returncode != 0:
            last = done.stdout.strip().splitlines() or ["no output"]
            raise StackError(f"Kafka's data folder {logs} can't be formatted: {last[-1]}")
        (logs / "formatted").touch()
