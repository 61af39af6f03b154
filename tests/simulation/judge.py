"""Judges a simulated day by the invariants of the audit, and by what only a simulation can see.

After each commit: the invariants that hold at any moment, on the rows that it touched. At the end: all of them, on the
log and all tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from contracts.topics import DISPATCH, INVENTORY, ORDERS
from deploy.audit.invariants import campaigns, events, lots, money, orders, stock
from deploy.audit.invariants import judge as findings_of
from deploy.audit.invariants.facts import Fact, Facts, Topics
from deploy.audit.invariants.invariant import Invariant
from services.kit.transaction.message import Record
from services.orders.domain.campaign.campaign import CampaignState
from services.orders.domain.campaign.verdict import replay
from tests.simulation.facts import CommittedStock, committed_orders, dead_letters, history_of, tables_of
from tests.simulation.invariant import InvariantBroken, check_invariant
from tests.simulation.memory import GONE, Database, Transaction

AT_A_COMMIT: Mapping[str, tuple[Invariant, ...]] = {
    ORDERS: (orders.have_stock, money.given_back),
    INVENTORY: (stock.movements, stock.claims, lots.movements, lots.unattributed),
    DISPATCH: (),
}


class Judge:
    """Follows the commits of all services and the records of the log."""

    def __init__(self, dbs: Mapping[str, Database], clock: Any) -> None:
        self.committed_events: dict[str, Fact] = {}
        self._dbs, self._clock = dbs, clock
        self._numbers: dict[tuple[str, str], int] = defaultdict(int)
        self._log: list[Fact] = []
        self._stock = CommittedStock()

    def committed(self, transaction: Transaction, facts: Iterable[Fact]) -> None:
        """Check a transaction that was committed, with its events."""
        for fact in facts:
            self._numbers[fact.topic, fact.subject] += 1
            due = self._numbers[fact.topic, fact.subject]
            check_invariant(
                fact.seq == due, "numbers have no gaps", f"{fact.type} {fact.subject} is {fact.seq}, not {due}"
            )
            self.committed_events[fact.id] = fact
        if parked := dead_letters(transaction):
            _check(Facts(Topics(()), parked), (events.no_dead_letters,))
        name = transaction.db.name
        if name == ORDERS and "orders" in transaction.writes:
            _check(Facts(tables=committed_orders(transaction, self._dbs[INVENTORY])), AT_A_COMMIT[name])
        if name == ORDERS and "campaign_join" in transaction.writes:
            self._joined_in_time(transaction)
        if name == INVENTORY and (tables := self._stock.tables(transaction)):
            _check(Facts(tables=tables), AT_A_COMMIT[name])
        blocked = {wave: why for wave, why in transaction.writes.get("blocked", {}).items() if why is not GONE}
        check_invariant(not blocked, "every wave can be planned", f"{blocked}")

    def _joined_in_time(self, transaction: Transaction) -> None:
        for join, _ in transaction.writes["campaign_join"].values():
            campaign, _ = transaction.get("campaign", join.campaign)
            in_time = join.terms.placed_at < campaign.terms.closes_at
            if join.granted is None:  # it just joined or withdrew; the time at which it locked the row counts
                since = transaction.locked_at.get(("campaign", join.campaign))
                held = since is not None and self._clock.business_at(since) < campaign.terms.closes_at
                in_time = in_time and held and campaign.state is CampaignState.OPEN
            check_invariant(in_time, "no join after the cutoff", f"{join} of {campaign}")

    def appended(self, record: Record) -> None:
        """Check a record appended to the log."""
        fact = self.committed_events.get(record.headers["ce_id"])
        what = f"{record.headers['ce_type']} {record.headers['ce_id']}"
        check_invariant(fact, "no effect without its commit", what)
        assert fact
        self._log.append(
            replace(fact, where=f"{record.topic}/{record.partition}@{record.offset}", content=record.value)
        )

    def at_end(
        self, accepted: Mapping[UUID, Mapping[str, Any]], joins: Iterable[UUID], handled: Mapping[str, set[UUID]]
    ) -> None:
        """Check the end state, with nothing in progress. `handled`: by consumer the events that it should have read."""
        sent = {fact.id for fact in self._log}
        lost = [
            f"{fact.type} {fact.subject} {fact.seq}" for id, fact in self.committed_events.items() if id not in sent
        ]
        check_invariant(not lost, "every committed event is published", f"not in the log: {lost[:3]}")
        topics, tables = Topics(self._log), tables_of(self._dbs)
        _check(Facts(topics, tables))
        history = history_of(accepted, joins, self._dbs[ORDERS])
        _check(Facts(topics, history=history), (orders.not_lost, orders.as_requested, campaigns.not_lost))
        for id, row in self._dbs[ORDERS].tables["campaign_verdict"].items():
            same = replay(row["inputs"]) == row["verdict"]
            check_invariant(same, "a verdict replays to the same bytes", f"campaign {id}: {row}")
        for db in self._dbs.values():
            _nothing_left(db, handled)


def _check(facts: Facts, invariants: Iterable[Invariant] | None = None) -> None:
    for finding in findings_of(facts, invariants):
        raise InvariantBroken(finding.check, f"{finding.subject}: {finding.what} ({finding.where})")


def _nothing_left(db: Database, handled: Mapping[str, set[UUID]]) -> None:
    left = [f"{row.topic} {row.subject}" for row in db.tables["outbox"].values()]
    check_invariant(not left, "nothing is left over", f"outbox of {db.name}: {left[:3]}")
    for consumer, ids in handled.items():
        if consumer.startswith(f"{db.name}."):
            missed = sorted(id for id in ids if (consumer, id) not in db.tables["inbox"])
            check_invariant(not missed, "nothing is left over", f"{consumer} never handled {missed[:3]}")
    check_invariant(not db.deadlocks, "locks are taken in one order", f"{db.deadlocks} deadlocks in {db.name}")
    check_invariant(not db.holders, "nothing is left over", f"locks of {db.name}: {list(db.holders)[:3]}")
