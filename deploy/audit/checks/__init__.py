"""The audit's claims, in the order of the report: from the log outwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deploy.audit.checks import archive, inbox, person, records
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.finding import Finding
from deploy.audit.invariants import (
    campaigns,
    deliveries,
    events,
    lots,
    money,
    orders,
    reservations,
    sales,
    stock,
)
from deploy.audit.invariants.invariant import Invariant

Part = Invariant | Callable[[Evidence], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """A claim and its parts: invariants, and functions over the audit's own evidence of the transport.

    `between`: it compares services, and a dead letter is a good reason for them to differ about its subject.
    """

    claim: str
    parts: tuple[Part, ...]
    between: bool = False

    def findings(self, evidence: Evidence) -> Iterator[Finding]:
        """Yield the counter-examples to the claim."""
        for part in self.parts:
            found = part.findings(evidence.facts) if isinstance(part, Invariant) else part(evidence)
            yield from (one for one in found if not (self.between and one.subject in evidence.accounted))


CHECKS = (
    Check("no message waits to be sent", (archive.waiting,)),
    Check(
        "the log is complete and numbered, an event id has one content",
        (records.complete, events.one_content, records.readable, events.numbered, events.published_once),
    ),
    Check("the log has exactly the sent records", (archive.sent, archive.unsent)),
    Check("consumers processed exactly the published records", (inbox.processed, inbox.known)),
    Check("every order is in exactly one state", (orders.known, orders.lives, orders.ends_once)),
    Check(
        "every pledge of a group-buy ended once",
        (campaigns.lives, campaigns.pledges, campaigns.within_caps, campaigns.counted, campaigns.shares),
    ),
    Check("money was refunded where due, once", (money.refunds, money.given_back, money.refunded_once, money.receipts)),
    Check(
        "stock is the sum of its movements and of its topic",
        (stock.movements, stock.claims, stock.physical, stock.topic),
    ),
    Check("no more was promised than there was", (stock.promises, stock.shortfalls)),
    Check("per lot, in = out + on hand", (lots.balance, lots.movements, lots.unattributed)),
    Check("every stall sale took effect once", (sales.once, sales.allotments), between=True),
    Check("every command was answered", (events.answered, events.answered_once), between=True),
    Check(
        "orders and stock agree",
        (
            reservations.agree,
            reservations.needed,
            reservations.one_an_attempt,
            reservations.firm_never_expires,
            reservations.released_after_delivery,
            reservations.goods_left_once,
            orders.have_stock,
            stock.flows,
        ),
        between=True,
    ),
    Check("orders and deliveries agree", (deliveries.agree, deliveries.needed, deliveries.ended_alike), between=True),
    Check("no personal data is in a public topic", (person.absent,)),
    Check("no service has data of an erased person", (person.erased,)),
)
ENDED = Check("every order and group-buy has ended", (orders.ended, campaigns.settled), between=True)
