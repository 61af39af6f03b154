"""The processes of the three services, which crash, freeze and restart, running the kit's real parts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from random import Random
from typing import Any

from services.kit.clock import Clock
from services.kit.consumer.processor import BatchProcessor
from services.kit.consumer.subscription import TopicSource
from services.kit.context import Context
from services.kit.database import is_transient
from services.kit.errors import Transient
from services.kit.process.service import Service
from services.kit.relay.relay import Relay
from services.kit.settings import Settings
from services.kit.transaction.message import Record
from services.kit.transaction.ports import Ports
from tests.simulation.log import Log, Publisher, RelayConnection
from tests.simulation.memory import Reader
from tests.simulation.ports import Event, Ids, Tasks
from tests.simulation.scheduler import Killed, Scheduler, Task, Then, pause
from tests.simulation.stores import STORES
from tests.simulation.stores.kit import TABLES

SETTINGS = Settings(database_url="postgresql://in-memory")

RARE = {"campaign.half_way": 20}
"""Factors for crash points that are passed rarely."""


@dataclass
class Faults:
    """Probabilities of this run's faults. All 0: a quiet run."""

    redelivery: float = 0.0  # of each batch: its records are delivered again later
    second_owner: float = 0.0  # of each batch: a second owner works on it at the same time
    slow_poll: float = 0.0  # of each poll: seconds instead of milliseconds
    publish_failure: float = 0.0  # of each page of the relay: the producer fails
    lost_answer: float = 0.0  # of each request: the client does not receive the answer
    slow_database: float = 0.0  # of each cutoff: the database is slow around it
    crash: float = 0.0  # of each pass of a named crash point: the process is killed there


class World:
    """Shared state of all processes: time, the log, a database per service, and the faults."""

    def __init__(
        self,
        scheduler: Scheduler,
        clock: Clock,
        log: Log,
        faults: Faults,
        note: Callable[..., None],
        codes_rng: Random,
    ) -> None:
        self.scheduler, self.clock, self.log, self.faults, self.note = scheduler, clock, log, faults, note
        self.codes_rng, self.ids, self.tasks = codes_rng, Ids(codes_rng), Tasks(scheduler)
        self.processes: dict[str, Process] = {}

    @property
    def rng(self) -> Any:
        return self.scheduler.rng

    def point(self, name: str) -> bool:
        """Pass a named crash point of the product. Raises `Killed` by chance."""
        if self.faults.crash and self.rng.random() < self.faults.crash * RARE.get(name, 1):
            self.note("crash", "at %s", name)
            raise Killed
        return False

    def ports(self, service: Service) -> Ports:
        """Return the ports of a process of the service: time and chance of this run, tables in memory."""
        return Ports(
            self.clock,
            STORES.get(service.name, service.store),
            TABLES,
            monotonic=lambda: self.scheduler.now,
            tasks=self.tasks,
            random=self.rng,
            token_bytes=self.codes_rng.randbytes,
            new_id=self.ids.new_id,
            crash_point=self.point,
        )

    def delay(self) -> float:
        """Return seconds until something is noticed."""
        rng = self.rng
        return rng.uniform(1, 30) if rng.random() < self.faults.slow_poll else rng.expovariate(20)


class Process:
    """One process of a service, `api` or `worker`. `frozen`: virtual time until which it starts nothing new."""

    def __init__(self, world: World, service: Service, role: str, pool: Reader) -> None:
        self.world, self.service, self.role, self.pool = world, service, role, pool
        self.name = f"{service.name}.{role}"
        self.up, self.frozen, self.lives = False, 0.0, 0
        self._tasks: dict[Task, Callable[[], None] | None] = {}
        self.context: Context
        self.memo: dict[str, Any] = {}
        self.parts: list[Consumer | SweeperLoop] = []
        world.processes[self.name] = self
        self.start()

    def start(self) -> None:
        """Start with no state but the database and the log."""
        self.up = True
        self.lives += 1
        self.memo = {}
        world = self.world
        wake = Event(world.scheduler)
        notify = wake.set if self.role == "worker" else self._notify
        ports = world.ports(self.service)
        self.context = Context(SETTINGS, ports, self.pool, notify, self.service.name)  # type: ignore[arg-type]
        self.wake = wake
        if self.role != "worker":
            return
        relay = Relay(
            self.service.name,
            SETTINGS,
            wake,  # type: ignore[arg-type]
            ports,
            open_connection=self._open_connection,
            open_publisher=self._open_publisher,
        )
        self.run(relay.run(), "relay")
        self.memo["processors"] = self.service.processors(self.context)
        self.parts = [Consumer(self, n, found) for n, found in enumerate(self.memo["processors"])]
        if self.service.sweeper(self.context):
            self.parts.append(SweeperLoop(self))
        for part in self.parts:
            part.wake_up()

    async def _open_connection(self, _settings: Any) -> Any:
        return RelayConnection(self.pool.db)

    def _open_publisher(self, _settings: Any) -> Any:
        world = self.world
        return Publisher(world.log, world.scheduler, lambda: world.faults.publish_failure)

    def _notify(self) -> None:
        worker = self.world.processes[f"{self.service.name}.worker"]
        self.world.scheduler.after(0.01, worker.wake.set)

    def run(
        self,
        coroutine: Coroutine[Any, Any, Any],
        name: str,
        then: Then | None = None,
        lost: Callable[[], None] | None = None,
    ) -> Task:
        """Run a coroutine that dies with the process; `lost` is called some time afterwards."""

        def ended(result: Any, error: BaseException | None) -> None:
            self._tasks.pop(task, None)
            if then:
                then(result, error)
            elif error:
                raise error

        task = self.world.scheduler.spawn(coroutine, f"{self.name} {name}", ended)
        self.adopt(task, lost)
        return task

    def adopt(self, task: Task, lost: Callable[[], None] | None = None) -> None:
        task.process = self
        self._tasks[task] = lost

    @property
    def idle_until(self) -> float:
        """Time at which it can start work: now, unless it is frozen."""
        return max(self.frozen, self.world.scheduler.now)

    def kill(self, down: float) -> None:
        """Kill it as with `kill -9`; restart after `down` seconds."""
        if not self.up:
            return
        self.up = False
        self.world.note(self.name, "killed, back in %.1f s", down)
        tasks, self._tasks = self._tasks, {}
        for task, lost in tasks.items():
            task.kill()
            if lost:
                self.world.scheduler.after(self.world.rng.uniform(0, 3), lost)
        self.world.scheduler.after(down, self.start)

    def died(self) -> None:
        """Handle a kill at a crash point of its own."""
        self.kill(self.world.rng.choice((0.2, 2, 20)) * self.world.rng.uniform(0.5, 1.5))

    def freeze(self, seconds: float) -> None:
        """Stop for so many seconds, as a process without CPU or network."""
        self.frozen = self.world.scheduler.now + seconds
        self.world.note(self.name, "silent for %.0f s", seconds)


def only_transient(_result: Any, error: BaseException | None) -> None:
    """Callback of a task without a waiter; raises all but transient errors."""
    if error and not (isinstance(error, Transient) or is_transient(error)):
        raise error


Work = Callable[[Process], Coroutine[Any, Any, Any]]


class Consumer:
    """Feeds a processor as the consumer library does: positions are committed after the batch is processed; a failed or
    forgotten batch is redelivered from the committed position.
    """

    ack_first = False  # set by a seeded bug

    def __init__(self, process: Process, n: int, processor: BatchProcessor[TopicSource]) -> None:
        self.process, self.n, self.processor, self.life = process, n, processor, process.lives
        self.topic = processor.source.subscription.topic
        self.log = process.world.log
        self.committed = self.log.committed[processor.consumer]
        self.position = dict(self.committed)
        self._busy = self._waiting = False
        self.log.listeners[self.topic].append(self.wake_up)

    @property
    def alive(self) -> bool:
        return self.process.up and self.process.lives == self.life

    def wake_up(self) -> None:
        """Poll soon."""
        if not self._waiting and not self._busy:
            self._waiting = True
            world = self.process.world
            world.scheduler.at(self.process.idle_until + world.delay(), self._poll)

    def _poll(self) -> None:
        self._waiting = False
        if not self.alive:
            self.log.listeners[self.topic] = [p for p in self.log.listeners[self.topic] if p != self.wake_up]
        elif self.process.frozen > self.process.world.scheduler.now:
            self.wake_up()
        elif batch := self._choose():
            self._busy = True
            self.process.run(self._work(batch), self.processor.consumer, self._done)

    def _choose(self) -> list[Record]:
        """Return a batch as a poll may return it: some records of some partitions."""
        rng = self.process.world.rng
        ready = [p for p in self.log.places(self.topic) if self.position.get(p, 0) < len(self.log.partitions[p])]
        batch: list[Record] = []
        for place in ready:
            if place != ready[-1] and rng.random() < 0.2:
                continue
            begin, end = self.position.get(place, 0), len(self.log.partitions[place])
            end = end if rng.random() < 0.7 else rng.randint(begin + 1, end)
            batch += self.log.partitions[place][begin:end]
            self.position[place] = end
        return batch

    async def _work(self, batch: list[Record]) -> None:
        world = self.process.world
        places = {(record.topic, record.partition): record.offset + 1 for record in batch}
        where = ", ".join(f"{p[1]}@{end}" for p, end in places.items())
        world.note(self.process.name, "reads %s: %d records up to %s", self.topic, len(batch), where)
        if self.ack_first:
            self._commit(places)
        if world.rng.random() < world.faults.second_owner:
            world.note(self.process.name, "second owner at %s", self.topic)
            self.process.run(self.processor.handle(batch), "second owner", only_transient)
        await self.processor.handle(batch)
        await pause(world.delay())
        self._commit(places)

    def _commit(self, places: dict[tuple[str, int], int]) -> None:
        for place, end in places.items():
            self.committed[place] = max(self.committed[place], end)

    def _done(self, _result: Any, error: BaseException | None) -> None:
        self._busy = False
        world = self.process.world
        if error or world.rng.random() < world.faults.redelivery:
            back = 0 if error else world.rng.randint(1, 20)
            self.position = {p: max(0, end - back) for p, end in self.committed.items()}
            what = f"failed ({type(error).__name__})" if error else f"rewinds by {back}"
            world.note(self.process.name, "%s %s", self.topic, what)
        self.wake_up()


class SweeperLoop:
    """Runs the sweeper when a deadline may be due; now and then two at once."""

    def __init__(self, process: Process) -> None:
        self.process, self.life = process, process.lives

    def wake_up(self) -> None:
        """Sweep soon."""
        world = self.process.world
        world.scheduler.at(self.process.idle_until + world.rng.uniform(0, 0.2), self._sweep)

    def _sweep(self) -> None:
        process = self.process
        if not process.up or process.lives != self.life:
            return
        if process.frozen > process.world.scheduler.now:
            self.wake_up()
            return
        sweep = process.service.sweeper(process.context).sweep()  # type: ignore[union-attr]
        process.run(sweep, "sweeper", self._done)
        if process.world.rng.random() < process.world.faults.second_owner:
            process.run(process.service.sweeper(process.context).sweep(), "second sweeper", only_transient)  # type: ignore[union-attr]

    def _done(self, _found: Any, error: BaseException | None) -> None:
        if error:
            self.process.world.scheduler.after(1, self.wake_up)
