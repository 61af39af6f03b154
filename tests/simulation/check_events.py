"""Invariants of messages: every event once, numbered without gaps, every command answered, steps in the right order."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from contracts.values import job_of
from services.kit.transaction.message import Record
from tests.simulation.facts import Fact
from tests.simulation.invariant import check_invariant

ANSWERS = {
    "reserve-stock": {"stock-reserved", "stock-refused"},
    "release-stock": {"reservation-released"},
    "commit-stock": {"stock-committed", "commit-refused"},
    "cancel-delivery": {"job-cancelled", "cancel-refused"},
}
SCHEDULED = {"job-planned", "job-refused", "job-cancelled"}
ONCE = {
    "order-placed", "order-delivered", "order-collected", "order-returned", "order-rejected", "order-cancelled",
    "order-failed", "order-reopened", "job-loaded", "job-delivered", "job-returned", "lot-received", "lot-released",
    "wave-opened", "wave-cut", "wave-released", "wave-done",
    "campaign-opened", "campaign-cut", "campaign-formed", "campaign-failed",
}  # fmt: skip
"""Facts that can be true of their subject only once."""


class EventChecks:
    """Follows the commits of all services, and the records of the log."""

    def __init__(self) -> None:
        self.ids: dict[UUID, Fact] = {}
        self.numbers: dict[tuple[str, str], int] = defaultdict(int)
        self.once: dict[tuple[str, str], UUID] = {}
        self.commands: dict[str, Fact] = {}
        self.answers: dict[str, list[Fact]] = defaultdict(list)
        self.firm: set[str] = set()
        self.scheduled: dict[str, Fact] = {}
        self.planned: set[str] = set()
        self.off: set[str] = set()
        self.refunds: set[tuple[str, str]] = set()
        self.last_appended: dict[tuple[str, str, str], int] = defaultdict(int)
        self.in_log: set[str] = set()

    def committed(self, fact: Fact) -> None:
        """Check a fact written to an outbox."""
        self._identity(fact)
        match fact.kind:
            case "reserve-stock" | "release-stock" | "commit-stock" | "cancel-delivery":
                self.commands[str(fact.id)] = fact
            case "schedule-delivery":
                self.scheduled[fact.data["reservation"]] = fact
        self._answer(fact)
        self._order_of_steps(fact)
        self._money(fact)

    def _identity(self, fact: Fact) -> None:
        twin = self.ids.get(fact.id)
        check_invariant(
            twin is None,
            "an event is published once",
            f"{fact.kind} {fact.subject} has numbers {twin and twin.seq}, {fact.seq}",
        )
        self.ids[fact.id] = fact
        place = (fact.topic, fact.subject)
        self.numbers[place] += 1
        check_invariant(
            fact.seq == self.numbers[place], "numbers have no gaps", f"{fact.kind} {fact.subject} has {fact.seq}"
        )
        if fact.kind in ONCE:
            other = self.once.setdefault((fact.kind, fact.subject), fact.id)
            check_invariant(other == fact.id, "no event is repeated under another id", f"{fact.kind} {fact.subject}")

    def _answer(self, fact: Fact) -> None:
        command = self.commands.get(fact.cause or "")
        if command and fact.kind in ANSWERS[command.kind]:
            given = self.answers[str(command.id)]
            given.append(fact)
            check_invariant(
                len(given) == 1,
                "a command has one answer",
                f"{command.kind} {command.subject}: {[g.kind for g in given]}",
            )
        if fact.kind in SCHEDULED:
            self.planned.add(fact.data["reservation"])

    def _order_of_steps(self, fact: Fact) -> None:
        reservation = fact.data.get("reservation")
        match fact.kind:
            case "stock-committed":
                self.firm.add(reservation)
            case "stock-reserved" if fact.data["firm"]:
                self.firm.add(reservation)
            case "reservation-expired":
                check_invariant(
                    reservation not in self.firm, "a committed reservation never expires", f"reservation {reservation}"
                )
            case "job-cancelled" | "job-refused":
                self.off.add(fact.data["job"])
            case "release-stock" if reservation in self.scheduled:
                job = str(job_of(UUID(fact.data["order"]), UUID(reservation)))
                check_invariant(
                    job in self.off,
                    "stock is released only when the delivery is cancelled",
                    f"order {fact.data['order']}",
                )

    def _money(self, fact: Fact) -> None:
        if fact.kind == "order-refunded":
            payment = (fact.subject, fact.data["payment"])
            check_invariant(payment not in self.refunds, "a payment is refunded once", f"{payment}")
            self.refunds.add(payment)
        elif fact.kind == "join-refunded":
            check_invariant(
                ("join", fact.data["join"]) not in self.refunds, "a join ends once", f"join {fact.data['join']}"
            )
            self.refunds.add(("join", fact.data["join"]))

    def appended(self, record: Record) -> None:
        """Check a record appended to the log."""
        id = record.headers["ce_id"]
        check_invariant(UUID(id) in self.ids, "no effect without its commit", f"{record.headers['ce_type']} {id}")
        if id in self.in_log:
            return
        self.in_log.add(id)
        fact = self.ids[UUID(id)]
        place = (fact.topic, fact.key, fact.subject)
        check_invariant(
            fact.seq > self.last_appended[place],
            "events of a subject keep their order",
            f"{fact.kind} {fact.subject} {fact.seq}",
        )
        self.last_appended[place] = fact.seq

    def at_end(self) -> None:
        """Check the end state, with nothing in progress."""
        lost = [fact for id, fact in self.ids.items() if str(id) not in self.in_log]
        check_invariant(
            not lost,
            "every committed event is published",
            f"not in the log: {[(f.kind, f.subject, f.seq) for f in lost[:3]]}",
        )
        for id, command in self.commands.items():
            check_invariant(self.answers[id], "a command has one answer", f"{command.kind} {command.subject}: none")
        unplanned = sorted(self.scheduled.keys() - self.planned)
        check_invariant(not unplanned, "every scheduled delivery is answered", f"reservations {unplanned[:3]}")
