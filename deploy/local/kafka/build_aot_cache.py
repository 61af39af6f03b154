"""Builds the broker's AOT cache by a short run of a broker: `python -m deploy.local.kafka.build_aot_cache CACHE`."""

import contextlib
import fcntl
import os
import shutil
import signal
import sys
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from contracts.topics import ADMIN
from deploy.local.errors import StackError
from deploy.local.kafka.aot_cache import failure_marker
from deploy.local.kafka.broker import Kafka

RECORDS = 200


class _RecordingBroker(Kafka):
    """A broker that records which classes it loaded; the JVM assembles the cache when it ends, in some seconds."""

    def __init__(self, data: Path, output: Path) -> None:
        super().__init__(data, {ADMIN: "training"})
        self._output = output

    def _speedup(self, _: Path) -> list[str]:
        return [f"-XX:AOTCacheOutput={self._output}"]

    def stop(self) -> None:
        if self._child:
            self._child.stop(timeout=180)

    def abort(self) -> None:
        """End it at once, together with the helper process that assembles the cache."""
        if self._child:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)


def build(cache: Path) -> None:
    """Build `cache`, completely or not at all; SIGTERM aborts at once. Raises StackError when this JVM writes none."""
    folder = cache.with_suffix(".training")
    shutil.rmtree(folder, ignore_errors=True)
    draft = folder / "draft.aot"
    kafka = _RecordingBroker(folder, draft)

    def stop_signal(*_: object) -> None:
        kafka.abort()
        sys.exit("stopped by a signal")

    signal.signal(signal.SIGTERM, stop_signal)
    try:
        kafka.start(timeout=180)
        _work(kafka)
        kafka.stop()
        if not draft.exists():
            failure_marker(cache).touch()
            raise StackError("the JVM wrote no AOT cache")
        draft.replace(cache)
    finally:
        kafka.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _work(kafka: Kafka) -> None:
    """Send a service's usual requests: create a topic, produce records in batches, read and commit with a group."""
    client = kafka.client()
    admin = AdminClient(client)  # named, since its futures fail when it is collected
    for made in admin.create_topics([NewTopic("training", 6, 1)]).values():
        made.result()
    producer = Producer({**client, "enable.idempotence": True, "compression.type": "zstd"})
    for number in range(RECORDS):
        producer.produce("training", b"x" * 400, key=str(number), headers={"ce_id": b"1"})
    producer.flush(30)
    consumer = Consumer({**client, "group.id": "training", "auto.offset.reset": "earliest"})
    consumer.subscribe(["training"])
    read = 0
    while read < RECORDS:
        got = consumer.consume(100, timeout=30)
        if not got:
            raise StackError("the training broker gave no records")
        read += len(got)
    consumer.commit(asynchronous=False)
    consumer.close()


def main() -> None:
    """Entry point: exit code 0 when the cache was built or another process builds it."""
    os.nice(19)
    cache = Path(sys.argv[1])
    with cache.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if not cache.exists():
            try:
                build(cache)
            except (StackError, KafkaException) as error:
                sys.exit(f"no AOT cache: {error}")


if __name__ == "__main__":
    main()
