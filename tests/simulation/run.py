"""Plays one seed, one market day: actors, faults and invariants."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from services.dispatch.app import SERVICE as DISPATCH
from services.inventory.app import SERVICE as INVENTORY
from services.kit.relay.relay import POLL_S
from services.kit.transaction.message import Erased, Record
from services.orders import app as orders
from services.orders.commands.changes import Changes
from services.orders.commands.use_cases import UseCases
from services.orders.domain.order.order import TERMINAL
from services.orders.settings import OrderSettings
from tests.simulation.buyers import Buyers
from tests.simulation.campaign_actors import CampaignActors
from tests.simulation.client import InProcess
from tests.simulation.dispatch_actors import Courier, Dispatcher, PlanningLoop
from tests.simulation.facts import facts_of
from tests.simulation.invariant import InvariantBroken, check_invariant
from tests.simulation.inventory_actors import InventoryOperator
from tests.simulation.judge import Judge
from tests.simulation.log import Log
from tests.simulation.market import OVER, Market, hour
from tests.simulation.memory import Database, DatabaseFaults, Reader, Transaction
from tests.simulation.processes import Faults, Process, SweeperLoop, World
from tests.simulation.replacements import Replacement, installed
from tests.simulation.scheduler import Scheduler, SimClock, Stuck
from tests.simulation.stalls import open_stalls
from tests.simulation.trace import Trace

ANCHOR = datetime(2030, 1, 1, tzinfo=UTC)
ORDERS = replace(
    orders.SERVICE,
    open_repository=partial(Changes, part=3),  # so that settling a campaign has a middle
    use_cases=partial(UseCases, settings=OrderSettings()),
)
SERVICES = (ORDERS, INVENTORY, DISPATCH)
MOST_STEPS = 400_000
ROUNDS = 40
GROUP_BUYS = (0, 0, 1, 2)
"""Possible numbers of group-buys a day, equally likely."""


@dataclass
class Outcome:
    """The result of a run: `invariant` is the name of the broken one, empty if all held; `observed` is the
    contradiction.

    `facts` counts the published events and commands, `steps` the scheduler's steps.
    """

    seed: int
    invariant: str
    observed: str
    trace: Trace
    facts: int
    steps: int


class Run:
    """The world of one seed, with its checks."""

    def __init__(self, seed: int, *, quiet: bool = False, bugs: Iterable[Replacement] = ()) -> None:
        self.seed, self.quiet, self.bugs = seed, quiet, tuple(bugs)
        self.scheduler = Scheduler(random.Random(seed))
        self.rng = self.scheduler.rng
        self.codes_rng = random.Random(seed + 1)
        self.trace = Trace(self.scheduler)
        self.database_faults = DatabaseFaults(self.scheduler)
        clock = SimClock(self.scheduler, ANCHOR, hour(5.9), self.rng.choice((20.0, 60.0, 240.0)))
        self.log = Log(self._appended)
        self.world = World(self.scheduler, clock, self.log, Faults(), self.trace.note, self.codes_rng)
        self.dbs = {s.name: Database(s.name, self.database_faults, self._committed) for s in SERVICES}
        self.judge = Judge(self.dbs, clock)
        self.interested: dict[str, set[UUID]] = defaultdict(set)
        self._readers = _readers()
        self.planning_loop = PlanningLoop(self.world)

    def play(self) -> Outcome:
        """Play the day, let time pass until nothing is in progress, and check the end state."""
        try:
            with installed(self.bugs):
                self._begin()
                self.scheduler.run(MOST_STEPS)
                self._end()
        except InvariantBroken as broken:
            return self._outcome(broken.invariant, broken.observed)
        except Stuck as stuck:
            return self._outcome("the day ends", str(stuck))
        finally:
            self.scheduler.close()
        return self._outcome("", "")

    def _outcome(self, invariant: str, observed: str) -> Outcome:
        readable = self.trace.readable(observed)
        return Outcome(
            self.seed, invariant, readable, self.trace, len(self.judge.committed_events), self.scheduler.steps
        )

    def _begin(self) -> None:
        for service in SERVICES:
            for role in ("api", "worker"):
                Process(self.world, service, role, Reader(self.dbs[service.name]))
        rng, world = self.rng, self.world
        market = Market(world, InProcess(world), self.trace)
        market.open(rng.choice((3, 6, 20)))
        self.buyers = Buyers(market, rng.randint(4, 20))
        self.campaign_actors = CampaignActors(market, self.buyers, self.database_faults, rng.choice(GROUP_BUYS))
        self.stalls = open_stalls(market)
        InventoryOperator(market)
        self.dispatcher = Dispatcher(market)
        self.couriers = [Courier(market, courier, self.buyers) for courier in ("k1", "k2")]
        if not self.quiet:
            self._choose_faults(market)
        market.at(OVER, self._finish_day, 0)

    def _choose_faults(self, market: Market) -> None:
        """Choose the day's faults and their rates."""
        rng, faults = self.rng, self.world.faults
        faults.redelivery, faults.second_owner, faults.slow_poll = (
            rng.choice((0, 0.05, 0.3)),
            rng.choice((0, 0.1)),
            rng.choice((0, 0.05)),
        )
        faults.publish_failure, faults.lost_answer = rng.choice((0, 0.1)), rng.choice((0, 0.05))
        faults.crash, faults.slow_database = rng.choice((0, 0.005, 0.02)), rng.choice((0, 0.5))
        self.database_faults.yields = rng.choice((0.02, 0.15))
        self.database_faults.unknown, self.database_faults.drops = rng.choice((0, 0.02)), rng.choice((0, 0.02))
        names = sorted(self.world.processes)
        for _ in range(rng.choice((0, 2, 6))):
            kill = self.world.processes[rng.choice(names)].kill
            market.at(rng.uniform(6, 19), kill, rng.choice((0.5, 5, 60)) * rng.uniform(0.5, 1.5))
        if rng.random() < 0.3:
            silent = rng.choice(("orders", "inventory", "dispatch"))
            when, seconds = rng.uniform(6.5, 16), rng.uniform(100, 400)
            for role in ("api", "worker"):
                market.at(when, self.world.processes[f"{silent}.{role}"].freeze, seconds)

    def _stop_faults(self) -> None:
        self.world.faults = Faults()
        self.database_faults.yields = self.database_faults.unknown = self.database_faults.drops = 0
        for process in self.world.processes.values():
            process.frozen = 0

    def _finish_day(self, rounds: int) -> None:
        """After the day, without faults: let the actors finish their work, round after round."""
        self._stop_faults()
        tables: Any = self.dbs["orders"].tables
        ended = all(order.state in TERMINAL for order, _ in tables["orders"].values())
        settled = all(campaign.settled for campaign, _ in tables["campaign"].values())
        if rounds >= 3 and ((ended and settled) or rounds > ROUNDS):
            return
        self.trace.note("day", "over, round %d", rounds)
        self.buyers.finish()
        for actor in (self.campaign_actors, *self.stalls, *self.couriers):
            actor.finish()
        self.planning_loop.wake_up()
        self.scheduler.after(65, self._finish_day, rounds + 1)

    def _committed(self, transaction: Transaction) -> None:
        name = transaction.db.name
        facts = list(facts_of(transaction))
        for fact in facts:
            self.trace.published(name, fact)
        self.judge.committed(transaction, facts)
        if name == "dispatch":
            self.planning_loop.wake_up()
        if facts:  # the relay polls even without a wake-up
            self.scheduler.after(POLL_S, lambda: self.world.processes[f"{name}.worker"].wake.set())
        self._deadlines(transaction)

    def _deadlines(self, transaction: Transaction) -> None:
        clock: Any = self.world.clock
        for row in transaction.writes.get("deadline", {}).values():
            if due := getattr(row, "due_at", None):
                second = clock.second_of_real(due) if row.real else clock.second_of(due)
                self.scheduler.at(second + 0.001, self._sweep, f"{transaction.db.name}.worker")

    def _sweep(self, worker: str) -> None:
        for part in self.world.processes[worker].parts:
            if isinstance(part, SweeperLoop):
                part.wake_up()

    def _appended(self, record: Record) -> None:
        self.judge.appended(record)
        for consumer, types in self._readers[record.topic]:
            if record.headers["ce_type"] in types:
                self.interested[consumer].add(UUID(record.headers["ce_id"]))

    def _end(self) -> None:
        late = [stall.terminal for stall in self.stalls if stall.through < stall.seq]
        check_invariant(not late, "every upload arrives", f"{late}")
        self.judge.at_end(self.buyers.accepted, self.campaign_actors.accepted, self.interested)


def _readers() -> dict[str, list[tuple[str, set[str]]]]:
    """Return by topic its consumers, and the types that each handles."""
    found: dict[str, list[tuple[str, set[str]]]] = defaultdict(list)
    for service in SERVICES:
        for subscription in service.subscriptions:
            types = {getattr(kind, "TYPE", "") for kind in subscription.handlers if kind is not Erased}
            found[subscription.topic].append((f"{service.name}.{subscription.topic}", types))
    return found


def play(seed: int, *, quiet: bool = False, bugs: Iterable[Replacement] = ()) -> Outcome:
    """Play one seed; `quiet`: without faults; `bugs`: replacements of parts of the product by faulty ones."""
    return Run(seed, quiet=quiet, bugs=bugs).play()
